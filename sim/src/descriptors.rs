//! What a runtime has of the system for itself: law 10 of the [laws](crate::laws).
//!
//! Its poller and its rings, and in their tables the places of sources and the slots of operations.
//! Sockets and files are the program's own, which may leak them, and with one of them the poller
//! that it is registered with.

/// What is open in the simulated kernel at the end of a run.
pub(crate) struct Open {
    pub(crate) pollers: usize,
    pub(crate) rings: usize,
    /// Sockets, files, and receivers of signals.
    pub(crate) of_programs: usize,
}

impl Open {
    /// Each runtime and each thread has ended: what is wrong.
    pub(crate) fn at_end(&self) -> Option<String> {
        let Open { pollers, rings, of_programs } = *self;
        if rings > 0 {
            return Some(format!(
                "{rings} rings are open, though each runtime has ended: a worker has not closed \
                 its own"
            ));
        }
        (pollers > 0 && of_programs == 0).then(|| {
            format!(
                "{pollers} pollers are open, though each runtime has ended and no socket and no \
                 file is left: a driver was leaked, or a handle of its runtime was, or lies where \
                 it outlives the run"
            )
        })
    }
}

/// A worker closes its ring while so many slots of its table are taken: what is wrong.
pub(crate) fn ring_closed(operations: usize) -> Option<String> {
    (operations > 0).then(|| {
        format!(
            "a worker closes its ring, and {operations} slots of its table are taken: operations \
             that the system has not completed"
        )
    })
}

/// A driver ends while so many places of its table are taken: what is wrong.
pub(crate) fn driver_ended(sources: usize) -> Option<String> {
    (sources > 0).then(|| {
        format!(
            "a driver ends, and {sources} places of its table are taken: registrations that are \
             gone have left them behind"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_leaked_keeps_its_poller_and_no_ring() {
        let open = |pollers, rings, of_programs| Open { pollers, rings, of_programs }.at_end();
        assert_eq!(open(0, 0, 1), None);
        assert_eq!(open(1, 0, 1), None);
        assert!(open(1, 0, 0).is_some_and(|message| message.contains("1 pollers are open")));
        assert!(open(1, 1, 1).is_some_and(|message| message.contains("1 rings are open")));
    }
}
