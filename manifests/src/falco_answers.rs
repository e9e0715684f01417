//! What Falco says of itself: versions, metrics, findings.
