//! A future, then its output: what `join!` keeps of each of its futures.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

pin_project! {
    /// A future that is not polled again when it is done, and dropped then.
    pub struct MaybeDone<F>
    where
        F: Future,
    {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projection]
    #[project_replace = Replaced]
    enum State<F>
    where
        F: Future,
    {
        Running { #[pin] future: F },
        Done { output: F::Output },
        Taken,
    }
}

impl<F: Future> MaybeDone<F> {
    /// Not done.
    #[inline]
    pub fn new(future: impl IntoFuture<IntoFuture = F>) -> MaybeDone<F> {
        MaybeDone { state: State::Running { future: future.into_future() } }
    }

    /// Polls the future, unless it is done.
    #[inline]
    pub fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.project().state;
        if let Projection::Running { future } = state.as_mut().project() {
            let output = ready!(future.poll(context));
            state.set(State::Done { output });
        }
        Poll::Ready(())
    }

    /// The output.
    ///
    /// # Panics
    /// If the future is not done, or the output was taken before.
    #[inline]
    pub fn take(self: Pin<&mut Self>) -> F::Output {
        match self.project().state.project_replace(State::Taken) {
            Replaced::Done { output } => output,
            Replaced::Running { .. } | Replaced::Taken => panic!("there is no output to take"),
        }
    }
}

impl<F, T, E> MaybeDone<F>
where
    F: Future<Output = Result<T, E>>,
{
    /// Polls the future, unless it is done.
    ///
    /// # Errors
    /// That of the future, which is taken by that.
    #[inline]
    pub fn poll_ok(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), E>> {
        ready!(self.as_mut().poll(context));
        let state = self.as_mut().project().state.project();
        let has_failed = matches!(state, Projection::Done { output: Err(_) });
        Poll::Ready(if has_failed { self.take().map(drop) } else { Ok(()) })
    }

    /// The output of a future that has not failed.
    ///
    /// # Panics
    /// If the future is not done, or has failed, or the output was taken before.
    #[inline]
    pub fn take_ok(self: Pin<&mut Self>) -> T {
        match self.take() {
            Ok(value) => value,
            Err(_) => panic!("an error is taken as a value"),
        }
    }
}

#[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    /// Is ready at the second poll.
    struct Second<'a> {
        polls: &'a Cell<u32>,
        is_dropped: &'a Cell<bool>,
    }

    impl Future for Second<'_> {
        type Output = u32;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            self.polls.set(self.polls.get() + 1);
            if self.polls.get() == 2 { Poll::Ready(7) } else { Poll::Pending }
        }
    }

    impl Drop for Second<'_> {
        fn drop(&mut self) {
            self.is_dropped.set(true);
        }
    }

    #[test]
    fn a_future_is_polled_until_it_is_done_and_dropped_then() {
        let mut context = Context::from_waker(Waker::noop());
        let (polls, is_dropped) = (Cell::new(0), Cell::new(false));
        let mut future = pin!(MaybeDone::new(Second { polls: &polls, is_dropped: &is_dropped }));
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(!is_dropped.get());
        assert!(future.as_mut().poll(&mut context).is_ready());
        assert!(is_dropped.get());
        assert!(future.as_mut().poll(&mut context).is_ready());
        assert_eq!(polls.get(), 2);
        assert_eq!(future.as_mut().take(), 7);
    }

    #[test]
    fn an_error_is_taken_by_the_poll_and_a_value_is_not() {
        let mut context = Context::from_waker(Waker::noop());
        let mut good = pin!(MaybeDone::new(ready(Ok::<u32, ()>(1))));
        assert_eq!(good.as_mut().poll_ok(&mut context), Poll::Ready(Ok(())));
        assert_eq!(good.as_mut().poll_ok(&mut context), Poll::Ready(Ok(())));
        assert_eq!(good.as_mut().take_ok(), 1);
        let mut bad = pin!(MaybeDone::new(ready(Err::<(), _>("bad"))));
        assert_eq!(bad.as_mut().poll_ok(&mut context), Poll::Ready(Err("bad")));
    }

    #[test]
    #[should_panic(expected = "there is no output to take")]
    fn what_is_not_done_has_no_output() {
        pin!(MaybeDone::new(pending::<()>())).take();
    }
}
