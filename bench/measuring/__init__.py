"""What profile and comparison share: processes and their CPU, summaries of figures, tables, plots."""
