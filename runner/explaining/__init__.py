"""EXPLAINING: an agent file in; what every setting really is, where it comes from and what goes on the wire, out."""
