"""How people and programs come in: doors, use cases, and the container that wires them."""
