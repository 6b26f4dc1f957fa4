"""What bench/run is made of: devices, trials, statistics, rows, reports."""
