"""What every other package uses: loggers, progress, threads and seeds."""
