"""What tests share: slow twins, strategies and small models."""
