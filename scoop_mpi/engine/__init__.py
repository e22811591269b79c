"""What a rank does next: greenlets, threads and the clock, and who moves messages along."""
