//! The real binary, as people and programs run it.

mod can;
mod files;
mod help;
mod mistakes;
mod run;
