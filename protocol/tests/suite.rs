//! The words, held still: golden bytes, JSON samples, tolerance of the new, and defence against the hostile.

mod agents;
mod alloc;
mod bounds;
mod golden;
mod hostile;
mod json;
mod pages;
mod random;
mod samples;
mod tolerance;
