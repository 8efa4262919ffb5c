"""What the domain needs from the world: small protocols, nothing that does work."""
