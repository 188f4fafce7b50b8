"""How people subscribe, confirm and change what they get, and how staff bring readers in and look at them."""
