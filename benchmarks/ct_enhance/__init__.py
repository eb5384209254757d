"""What CT enhancement reaches on patients never trained on, beside what is usually done."""
