"""Pre-tokens with counts, the form in which every text is priced: tables, counts, sorted rows."""
