//! Random calls, compared with an ordered map.
