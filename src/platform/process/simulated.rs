//! Processes in `sim` builds. There are none on simulated threads, so what belongs to one is the
//! real machine's, and goes with a real queue alone.

use std::io;

use super::real::{ExitSource, PipeReader, PipeWriter};
use crate::platform::net::simulated::{Registrar, Source, World, check_thread, other_world};

macro_rules! sources {
    ($($type:ty),+) => {$(
        impl Source for $type {
            fn register(&mut self, registrar: &Registrar, token: usize) -> io::Result<()> {
                match &registrar.0 {
                    World::Real(registrar) => {
                        check_thread()?;
                        registrar.register(self, token)
                    }
                    World::Simulated(_) => Err(other_world()),
                }
            }

            fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
                match &registrar.0 {
                    World::Real(registrar) => {
                        check_thread()?;
                        registrar.deregister(self)
                    }
                    World::Simulated(_) => Err(other_world()),
                }
            }
        }
    )+};
}

sources!(ExitSource, PipeReader, PipeWriter);
