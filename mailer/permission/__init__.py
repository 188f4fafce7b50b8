"""Whether we may mail an address, and what people do to change that: leave, be suppressed, consent."""
