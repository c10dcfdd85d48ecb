"""What the product needs from outside, as Protocols, and the one clock that is real."""
