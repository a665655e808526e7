"""What the chaos suite is made of: a steady load, lines that fail, and a service between the two."""
