"""How people come to a newsletter, change what they get, and how staff bring readers in and look at them."""
