//! The rules of this repository that no lint holds, checked on the sources as text and syntax
//! trees. One module per rule, with planted violations beside it that the rule must report.

#[path = "tidy/contract.rs"]
mod contract;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/manifests.rs"]
mod manifests;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/seam.rs"]
mod seam;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;
