"""StatisticsGen: TFDV's statistics, of columns in place of decoded examples."""
