"""What speaks DIMSE: others see plain facts and files."""
