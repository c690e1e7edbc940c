"""What every other package uses: imports, loggers, progress, threads and seeds."""
