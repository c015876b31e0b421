"""Values about mail: the envelope, the header block, trace lines, verdicts."""
