//! `select!`, `join!` and `try_join!`, as a user writes them, on plain futures.

#![cfg(all(feature = "macros", not(any(volt_loom, volt_shuttle))))]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use volt::task::yield_now;
use volt::{join, select, try_join};

/// Runs `future` as a program.
fn run<F: Future>(future: F) -> F::Output {
    volt::run(|_io| future)
}

/// Polls once.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Is pending so many times, and woken each time.
async fn later<T>(polls: usize, output: T) -> T {
    for _ in 0..polls {
        yield_now().await;
    }
    output
}

/// Never ready, and writes its name down when it is dropped.
struct Named<'a> {
    name: &'static str,
    dropped: &'a RefCell<Vec<&'static str>>,
}

impl Future for Named<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        self.dropped.borrow_mut().push(self.name);
    }
}

#[test]
fn the_first_that_is_ready_gives_the_value() {
    let value = run(async {
        select! {
            number = later(3, 1) => number,
            number = later(1, 2) => number + 10,
            () = pending() => unreachable!(),
        }
    });
    assert_eq!(value, 12);
}

#[test]
fn it_is_a_statement_and_an_expression() {
    run(async {
        let mut count = 0;
        select! {
            _ = ready(()) => count += 1,
        }
        select! { _ = ready(()) => { count += 1 } }
        volt::select!(_ = ready(()) => count += 1);
        let sum = select! { one = ready(1) => one } + select!(two = ready(2) => { two });
        assert_eq!((count, sum), (3, 3));
    });
}

const ROUNDS: usize = 10_000;

#[track_caller]
fn assert_even(counts: [usize; 2]) {
    assert_eq!(counts[0] + counts[1], ROUNDS);
    assert!((ROUNDS * 2 / 5..=ROUNDS * 3 / 5).contains(&counts[0]), "{counts:?}");
}

#[test]
fn each_of_two_ready_branches_is_first_in_half_of_the_rounds() {
    run(async {
        let mut counts = [0; 2];
        for _ in 0..ROUNDS {
            select! {
                _ = ready(()) => counts[0] += 1,
                _ = ready(()) => counts[1] += 1,
            }
        }
        assert_even(counts);
    });
}

#[test]
fn branches_that_are_not_ready_do_not_tip_the_scales() {
    run(async {
        let mut counts = [0; 2];
        for _ in 0..ROUNDS {
            select! {
                _ = ready(()) => counts[0] += 1,
                _ = ready(()) => counts[1] += 1,
                () = pending() => unreachable!(),
                _ = ready(()), if false => unreachable!(),
                Some(()) = ready(None) => unreachable!(),
                () = pending() => unreachable!(),
            }
        }
        assert_even(counts);
    });
}

#[test]
fn biased_looks_in_source_order() {
    run(async {
        for _ in 0..100 {
            let looked_at = RefCell::new(Vec::new());
            let look = |number| {
                looked_at.borrow_mut().push(number);
                if number == 3 { Poll::Ready(number) } else { Poll::Pending }
            };
            let first = select! {
                biased;
                number = poll_fn(|_| look(1)) => number,
                number = poll_fn(|_| look(2)) => number,
                number = poll_fn(|_| look(3)) => number,
                number = poll_fn(|_| look(4)) => number,
            };
            assert_eq!((first, looked_at.into_inner()), (3, vec![1, 2, 3]));
        }
    });
}

#[test]
fn a_false_condition_disables_its_branch_which_is_not_even_made() {
    run(async {
        let mut source: Option<std::future::Ready<u32>> = None;
        for _ in 0..2 {
            let number = select! {
                number = source.as_mut().unwrap(), if source.is_some() => number,
                number = later(1, 7) => number,
            };
            assert_eq!(number, if source.is_some() { 8 } else { 7 });
            source = Some(ready(8));
        }
    });
}

#[test]
fn conditions_are_evaluated_before_the_futures_borrow() {
    run(async {
        let mut values = vec![1];
        let popped = select! {
            biased;
            popped = async { values.pop() }, if !values.is_empty() => popped,
            _ = ready(()), if values.len() > 1 => None,
        };
        assert_eq!(popped, Some(1));
    });
}

#[test]
fn a_pattern_that_does_not_match_disables_its_branch() {
    run(async {
        let made = Cell::new(0);
        let next = || {
            made.set(made.get() + 1);
            ready(None::<u32>)
        };
        let number = select! {
            Some(number) = next() => number,
            Ok(number) | Err(number @ 10..) = later(2, Err::<u32, u32>(9)) => number,
            number = later(5, 7) => number,
        };
        assert_eq!((number, made.get()), (7, 1));
    });
}

#[test]
fn patterns_bind_as_anywhere() {
    struct Point {
        x: u32,
        y: String,
    }
    run(async {
        let point = || ready(Point { x: 1, y: "why".to_owned() });
        let moved = select! { Point { x: 1, y } = point() => y };
        assert_eq!(moved, "why");
        let changed = select! { Point { ref mut y, .. } = point() => { y.push('!'); y.clone() } };
        assert_eq!(changed, "why!");
        let changed = select! { mut point = point() => { point.x += 1; point.x } };
        assert_eq!(changed, 2);
        let whole = select! { whole @ Some((_, 2)) = ready(Some((1, 2))) => whole };
        assert_eq!(whole, Some((1, 2)));
        let first = select! { Ok(&[first, ..]) = ready(Ok::<_, ()>(&[7, 8, 9])) => first };
        assert_eq!(first, 7);
        const LIMIT: u32 = 3;
        let within = select! { 0..=LIMIT = ready(4) => true, else => false };
        assert!(!within);
        let is_word = select! { Some("word") = ready(Some("word")) => true, else => false };
        assert!(is_word);
    });
}

#[test]
fn else_runs_when_every_branch_is_disabled() {
    run(async {
        let value = select! {
            Some(value) = later(1, None) => value,
            _ = pending::<()>(), if false => 1,
            else => 2,
        };
        assert_eq!(value, 2);
        assert_eq!(select! { else => 3 }, 3);
    });
}

#[test]
#[should_panic(expected = "all branches of `select!` are disabled, and it has no `else` branch")]
fn without_else_it_panics_when_every_branch_is_disabled() {
    run(async {
        select! {
            Some(()) = ready(None) => (),
            _ = ready(()), if false => (),
        }
    });
}

#[test]
fn handlers_are_part_of_the_function_around() {
    async fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
        loop {
            select! {
                text = ready(text) => {
                    if text == "again" {
                        continue;
                    }
                    let number: u32 = text.parse()?;
                    if number == 0 {
                        break;
                    }
                    return Ok(later(1, number).await);
                }
            }
        }
        Ok(100)
    }
    run(async {
        assert_eq!(parse("7").await, Ok(7));
        assert_eq!(parse("0").await, Ok(100));
        assert!(parse("seven").await.is_err());
        let mut rounds = 0;
        let labelled = 'outer: {
            loop {
                select! {
                    number = ready(3), if rounds == 2 => break 'outer number,
                    _ = ready(()), if rounds < 2 => rounds += 1,
                }
            }
        };
        assert_eq!(labelled, 3);
        let tried: Result<(), &str> = async {
            select! { _ = ready(Err::<(), _>("failed")?) => Ok(()) }
        }
        .await;
        assert_eq!(tried, Err("failed"));
    });
}

#[test]
fn all_futures_are_dropped_before_the_handler_runs_the_last_made_first() {
    let dropped = RefCell::new(Vec::new());
    let named = |name| Named { name, dropped: &dropped };
    run(async {
        select! {
            () = named("first") => unreachable!(),
            () = named("never made"), if false => unreachable!(),
            () = named("second") => unreachable!(),
            _ = later(2, ()) => dropped.borrow_mut().push("handler"),
            () = named("third") => unreachable!(),
        }
    });
    assert_eq!(dropped.into_inner(), ["third", "second", "first", "handler"]);
}

#[test]
fn a_select_that_is_dropped_drops_its_futures() {
    let dropped = RefCell::new(Vec::new());
    {
        let mut selecting = pin!(async {
            select! { () = Named { name: "branch", dropped: &dropped } => () }
        });
        assert!(poll(selecting.as_mut()).is_pending());
        assert!(dropped.borrow().is_empty());
    }
    assert_eq!(dropped.into_inner(), ["branch"]);
}

#[test]
fn an_output_that_does_not_match_is_dropped_at_once() {
    run(async {
        let output = Rc::new(());
        let unwanted = Rc::clone(&output);
        select! {
            biased;
            None = ready(Some(unwanted)) => unreachable!(),
            count = poll_fn(|_| Poll::Ready(Rc::strong_count(&output))) => assert_eq!(count, 1),
        }
    });
}

#[test]
fn branches_and_handlers_borrow_the_same_things() {
    async fn push(values: &mut Vec<u32>, value: u32) -> usize {
        yield_now().await;
        values.push(value);
        values.len()
    }
    run(async {
        let mut values = Vec::new();
        let text = String::from("text");
        for _ in 0..3 {
            select! {
                length = push(&mut values, 1) => values.push(length as u32 * 10),
                _ = pending::<()>() => values.clear(),
                length = async { text.len() }, if text.is_empty() => values.push(length as u32),
            }
        }
        assert_eq!(values, [1, 10, 1, 30, 1, 50]);
    });
}

#[test]
fn a_loop_goes_on_with_a_future_that_was_not_first() {
    run(async {
        let mut slow = pin!(later(50, "slow"));
        let mut quick = 0;
        let last = loop {
            select! {
                biased;
                output = &mut slow => break output,
                _ = later(1, ()) => quick += 1,
            }
        };
        assert_eq!(last, "slow");
        assert!((10..=50).contains(&quick), "{quick}");
    });
}

#[test]
fn selects_nest() {
    run(async {
        let value = select! {
            outer = async { select! { inner = later(1, 1) => inner + 1, else => 0 } } => select! {
                inner = later(1, 10) => inner + outer,
                else => 0,
            },
            () = pending() => 0,
        };
        assert_eq!(value, 12);
    });
}

#[test]
fn names_of_the_program_and_of_the_expansion_do_not_meet() {
    #[derive(Debug, PartialEq)]
    enum Output0 {
        Branch0(u32),
        Disabled,
    }
    run(async {
        let (selected, context, future_0, is_match) = (1, 2, 3, false);
        let value = select! {
            Output0::Branch0(output) = ready(Output0::Branch0(selected + context)) => {
                Output0::Branch0(output + future_0)
            }
            _ = pending::<()>(), if is_match => Output0::Disabled,
        };
        assert_eq!(value, Output0::Branch0(6));
    });
}

#[test]
fn a_task_may_select() {
    let value = volt::run(|io| async move {
        let task = io.spawn(async {
            select! {
                number = later(1, 7) => later(1, number).await,
                () = pending() => 0,
            }
        });
        let other = io.spawn(pending::<()>());
        select! {
            result = task => result.unwrap(),
            _ = other => 0,
        }
    });
    assert_eq!(value, 7);
}

#[test]
fn join_gives_all_outputs_in_source_order() {
    run(async {
        let text = String::from("borrowed");
        let outputs = join!(later(3, 1), ready("two"), async { text.len() });
        assert_eq!(outputs, (1, "two", 8));
        assert_eq!(join!(later(1, 1),), (1,));
        let () = join!();
    });
}

#[test]
fn join_polls_those_that_are_not_ready_and_begins_with_another_each_time() {
    let polled = RefCell::new(String::new());
    let future = |name: char, polls: usize| {
        let (polled, mut left) = (&polled, polls);
        poll_fn(move |_| {
            polled.borrow_mut().push(name);
            left -= 1;
            if left == 0 { Poll::Ready(name) } else { Poll::Pending }
        })
    };
    let mut joining = pin!(async { join!(future('a', 3), future('b', 1), future('c', 4)) });
    for expected in ["abc", "ca", "ca", "c"] {
        assert_eq!(poll(joining.as_mut()).is_ready(), expected == "c");
        assert_eq!(polled.take(), expected);
    }
}

#[test]
fn join_drops_each_future_when_it_is_ready() {
    let dropped = RefCell::new(Vec::new());
    {
        let mut joining = pin!(async {
            let note = Named { name: "ready", dropped: &dropped };
            let noted = async move {
                let _note = note;
            };
            join!(noted, Named { name: "pending", dropped: &dropped })
        });
        assert!(poll(joining.as_mut()).is_pending());
        assert_eq!(dropped.take(), ["ready"]);
    }
    assert_eq!(dropped.into_inner(), ["pending"]);
}

#[test]
fn try_join_gives_all_values_or_the_first_error() {
    #[derive(Debug, PartialEq)]
    struct Failed(u32);
    run(async {
        let values = try_join!(later(2, Ok::<_, Failed>(1)), async { Ok("two") });
        assert_eq!(values, Ok((1, "two")));
        let none: Result<(), Failed> = try_join!();
        assert_eq!(none, Ok(()));

        let dropped = RefCell::new(Vec::new());
        let waits = async {
            Named { name: "dropped", dropped: &dropped }.await;
            Ok::<(), Failed>(())
        };
        let failed =
            try_join!(waits, later(1, Err::<(), _>(Failed(1))), later(2, Err::<(), _>(Failed(2))));
        assert_eq!(failed, Err(Failed(1)));
        assert_eq!(dropped.into_inner(), ["dropped"]);
    });
}

#[test]
fn an_error_that_is_joined_can_be_asked_for() {
    async fn both() -> Result<u32, String> {
        let (one, two) = try_join!(async { Ok::<_, String>(1) }, later(1, Ok(2)))?;
        Ok(one + two)
    }
    assert_eq!(run(both()), Ok(3));
}

#[test]
fn channels_are_selected_by_macro_and_by_number() {
    use volt::channel::{self, Select, Selected};

    let counts = volt::run(|io| async move {
        let (numbers, received) = channel::bounded(1);
        let (words, heard) = channel::unbounded();
        io.spawn(async move {
            for number in 0..100 {
                numbers.send(number).await.unwrap();
                words.send("word").await.unwrap();
            }
        });
        let mut counts = [0, 0];
        loop {
            select! {
                Ok(number) = received.recv() => {
                    assert_eq!(number, counts[0]);
                    counts[0] += 1;
                }
                Ok(_) = heard.recv() => counts[1] += 1,
                else => break,
            }
        }

        let channels = (0..10).map(|_| channel::bounded(1));
        let (senders, receivers): (Vec<_>, Vec<_>) = channels.unzip();
        let mut select = Select::new();
        for receiver in &receivers {
            select.recv(receiver);
        }
        for sender in senders {
            io.spawn(async move {
                for number in 0..10 {
                    sender.send(number).await.unwrap();
                }
            });
        }
        let mut sum = 0;
        while let Some(selected) = select.wait().await {
            if let Selected::Received(_, Ok(number)) = selected {
                sum += number;
            }
        }
        assert_eq!(sum, 450);
        counts
    });
    assert_eq!(counts, [100, 100]);
}

/// Which branch each of the rounds began with is a decision of the run, which its seed replays.
#[cfg(feature = "sim")]
#[test]
fn a_seed_replays_the_order() {
    use std::sync::{Arc, Mutex};

    use volt::sim::Sim;

    let firsts = |seed| {
        let firsts = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&firsts);
        let program = move || {
            noted.lock().unwrap().clear();
            let mut rounds = pin!(async {
                for _ in 0..64 {
                    let first = select! {
                        _ = ready(()) => 1,
                        _ = ready(()) => 2,
                        _ = ready(()) => 3,
                    };
                    noted.lock().unwrap().push(first);
                }
            });
            assert!(poll(rounds.as_mut()).is_ready());
        };
        Sim::builder().seed(seed).build().check(program).unwrap();
        firsts.lock().unwrap().clone()
    };
    assert_eq!(firsts(7).len(), 64);
    assert_eq!(firsts(7), firsts(7));
    assert_ne!(firsts(7), firsts(8));
}
