"""What people look at, made from rows alone. No torch, and no row is changed."""
