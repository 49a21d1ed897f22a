//! The real binary, as people and programs run it.

#[cfg(test)]
mod asks;
#[cfg(test)]
mod can;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod files;
#[cfg(test)]
mod help;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod proxy_attack;
#[cfg(test)]
mod proxy_print;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod run;
#[cfg(test)]
mod running;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod sessions;
