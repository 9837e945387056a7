"""Questions that the results answer: what is the lowest release, does a specifier hold, why is a cell red."""
