"""nitrosim."""
