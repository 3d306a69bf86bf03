//! Rounds: from a suite to results.
