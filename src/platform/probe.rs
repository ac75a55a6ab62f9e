//! What the engine tells whoever watches it: events that laws and reports are made of. Empty in
//! production; in simulation never a decision.
