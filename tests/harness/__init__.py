"""What tests of the whole need: real servers and services, and a client written apart from them."""
