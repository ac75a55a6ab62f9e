//! Signals: those that the process sends itself, and those that a simulated host is sent.

#![cfg(not(any(volt_loom, volt_shuttle)))]

#[cfg(target_os = "linux")]
mod real {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::task::Poll;
    use std::thread;
    use std::time::Duration;

    use rustix::process::{Signal as Number, getpid, kill_process};
    use volt::shutdown::Shutdown;
    use volt::signal::{Signal, SignalKind, ctrl_c};
    use volt::time::timeout;
    use volt::{Io, Runtime};

    /// How long a test waits for what must happen, and for what must not.
    const PATIENCE: Duration = Duration::from_secs(30);
    const SHORTLY: Duration = Duration::from_millis(5);

    /// Signals are the whole process's: one test runs, the others wait.
    static TURN: Mutex<()> = Mutex::new(());

    fn run<F: Future>(program: impl FnOnce(Io) -> F) -> F::Output {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = Runtime::builder().workers(2).build().expect("the system has threads");
        runtime.run(|io| async move {
            let limit = io.clone();
            let result = timeout(&limit, PATIENCE, program(io)).await;
            result.expect("the program takes too long")
        })
    }

    /// Sends the process a signal, and waits until its handler has run, on whichever thread.
    fn send(signal: Number) {
        let seen = Arc::new(AtomicBool::new(false));
        let witness = Arc::clone(&seen);
        // SAFETY: the action stores into an atomic, and nothing else.
        let action = unsafe {
            signal_hook_registry::register(signal.as_raw(), move || {
                witness.store(true, Ordering::SeqCst);
            })
        };
        let action = action.expect("the system takes the handler");
        kill_process(getpid(), signal).expect("a process may send itself signals");
        // Actions run in the order of their registration, so those of receivers have run.
        while !seen.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        signal_hook_registry::unregister(action);
    }

    /// Whether nothing comes for a while.
    async fn is_quiet(io: &Io, signal: &mut Signal) -> bool {
        timeout(io, SHORTLY, signal.recv()).await.is_err()
    }

    #[test]
    fn a_signal_wakes_its_receiver() {
        run(|io| async move {
            let mut signal = Signal::user1(&io).unwrap();
            assert_eq!(signal.kind(), SignalKind::User1);
            for _ in 0..10 {
                let task = io.spawn(async move {
                    signal.recv().await.unwrap();
                    signal
                });
                send(Number::USR1);
                signal = task.await.unwrap();
            }
            assert!(is_quiet(&io, &mut signal).await);
        });
    }

    #[test]
    fn signals_that_come_before_a_look_are_one() {
        run(|io| async move {
            let mut signal = Signal::user1(&io).unwrap();
            // More than one read of the pipe takes.
            for _ in 0..1_000 {
                send(Number::USR1);
            }
            signal.recv().await.unwrap();
            assert!(is_quiet(&io, &mut signal).await, "one is told twice");
            send(Number::USR1);
            signal.recv().await.unwrap();
        });
    }

    #[test]
    fn each_receiver_hears_its_kind() {
        run(|io| async move {
            let mut first = Signal::user1(&io).unwrap();
            let mut second = Signal::user1(&io).unwrap();
            let mut other = Signal::user2(&io).unwrap();
            send(Number::USR1);
            first.recv().await.unwrap();
            second.recv().await.unwrap();
            assert!(is_quiet(&io, &mut other).await);
            // Another runtime hears it, too; and one that is gone is not missed.
            drop(first);
            let elsewhere = io.spawn_blocking(|| {
                let runtime = Runtime::builder().workers(1).build().unwrap();
                runtime.run(|io| async move {
                    let mut third = Signal::user1(&io).unwrap();
                    send(Number::USR1);
                    third.recv().await.unwrap();
                });
            });
            elsewhere.await.unwrap();
            second.recv().await.unwrap();
            drop(second);
            send(Number::USR1);
            assert!(is_quiet(&io, &mut other).await);
            send(Number::USR2);
            other.recv().await.unwrap();
        });
    }

    #[test]
    fn a_dropped_wait_takes_no_signal() {
        run(|io| async move {
            let mut signal = Signal::window_change(&io).unwrap();
            {
                let mut wait = pin!(signal.recv());
                let polled = poll_fn(|context| Poll::Ready(wait.as_mut().poll(context))).await;
                assert!(polled.is_pending());
                send(Number::WINCH);
            }
            signal.recv().await.unwrap();
        });
    }

    #[test]
    fn ctrl_c_counts_from_its_call_on() {
        run(|io| async move {
            let pressed = ctrl_c(&io);
            send(Number::INT);
            pressed.await.unwrap();
            assert!(timeout(&io, SHORTLY, ctrl_c(&io)).await.is_err());
            // Its default action has ended.
            kill_process(getpid(), Number::INT).unwrap();
        });
    }

    #[test]
    fn signals_trigger_a_shutdown() {
        run(|io| async move {
            for (number, kind) in
                [(Number::INT, SignalKind::Interrupt), (Number::TERM, SignalKind::Terminate)]
            {
                let plain = Shutdown::new(&io);
                let listening = plain.clone().with_signals().unwrap();
                let guard = listening.work_guard();
                send(number);
                plain.triggered().await;
                assert!(listening.is_triggered());
                assert_eq!(plain.signal(), Some(kind));
                drop(guard);
                assert!(plain.drain(PATIENCE).await);
            }
        });
    }

    #[test]
    fn signals_trigger_what_is_left_of_a_shutdown() {
        run(|io| async move {
            let plain = Shutdown::new(&io);
            drop(plain.clone().with_signals().unwrap());
            send(Number::TERM);
            plain.triggered().await;
            assert_eq!(plain.signal(), Some(SignalKind::Terminate));
        });
    }

    #[test]
    fn a_receiver_outlives_its_runtime_with_an_error() {
        let mut signal = run(|io| async move { Signal::hangup(&io).unwrap() });
        let error = run(|_| async move { signal.recv().await.unwrap_err() });
        assert!(error.to_string().contains("shut down"), "{error}");
    }
}

#[cfg(all(feature = "sim", feature = "macros"))]
mod simulated {
    use std::future::pending;
    use std::time::Duration;

    use volt::shutdown::Shutdown;
    use volt::signal::{Signal, SignalKind, ctrl_c};
    use volt::sim::{Host, World};
    use volt::time::{sleep, timeout};

    /// Sends a signal once somebody listens.
    async fn send<T>(world: &World, host: &Host<T>, kind: SignalKind) {
        while host.signal(kind) == 0 {
            world.sleep(Duration::from_millis(1)).await;
        }
    }

    #[volt::sim_test(seeds = 100)]
    async fn a_host_alone_hears_what_it_is_sent(world: World) {
        let listen = |io: volt::Io| async move {
            let mut signal = Signal::terminate(&io).unwrap();
            timeout(&io, Duration::from_secs(60), signal.recv()).await.is_ok()
        };
        let server = world.host("server").start(listen);
        let other = world.host("other").start(listen);
        send(&world, &server, SignalKind::Terminate).await;
        assert_eq!(server.await, Ok(true));
        assert_eq!(other.await, Ok(false));
    }

    #[volt::sim_test(seeds = 100)]
    async fn each_receiver_hears_its_kind(world: World) {
        let server = world.host("server").start(|io| async move {
            let mut first = Signal::user1(&io).unwrap();
            let mut second = Signal::user1(&io).unwrap();
            let mut other = Signal::user2(&io).unwrap();
            first.recv().await.unwrap();
            second.recv().await.unwrap();
            let wait = Duration::from_secs(1);
            assert!(timeout(&io, wait, other.recv()).await.is_err());
            drop(second);
            first.recv().await.unwrap();
        });
        // Until all of them listen.
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(server.signal(SignalKind::User1), 2);
        world.sleep(Duration::from_secs(2)).await;
        assert_eq!(server.signal(SignalKind::Interrupt), 0);
        assert_eq!(server.signal(SignalKind::User1), 1);
        server.await.unwrap();
    }

    #[volt::sim_test(seeds = 100)]
    async fn signals_that_come_before_a_look_are_one(world: World) {
        let server = world.host("server").start(|io| async move {
            let mut signal = Signal::hangup(&io).unwrap();
            sleep(&io, Duration::from_secs(10)).await;
            signal.recv().await.unwrap();
            timeout(&io, Duration::from_secs(10), signal.recv()).await.is_err()
        });
        send(&world, &server, SignalKind::Hangup).await;
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(server.signal(SignalKind::Hangup), 1);
        assert_eq!(server.await, Ok(true), "one is told twice");
    }

    #[volt::sim_test(seeds = 100)]
    async fn a_server_drains_when_it_is_told_to_end(world: World) {
        let server = world.host("server").start(|io| async move {
            let shutdown = Shutdown::new(&io).with_signals().unwrap();
            for number in 0..3 {
                let (inside, guard) = (io.clone(), shutdown.work_guard());
                io.spawn(async move {
                    sleep(&inside, Duration::from_secs(5 + number)).await;
                    drop(guard);
                });
            }
            shutdown.triggered().await;
            assert!(!shutdown.drain(Duration::from_secs(1)).await);
            assert_eq!(shutdown.pending(), 3);
            let is_drained = shutdown.drain(Duration::from_secs(30)).await;
            (is_drained, shutdown.signal())
        });
        send(&world, &server, SignalKind::Interrupt).await;
        assert_eq!(server.await.unwrap(), (true, Some(SignalKind::Interrupt)));
    }

    #[volt::sim_test(seeds = 100)]
    async fn a_shutdown_listens_until_its_last_clone_is_dropped(world: World) {
        let kept = world.host("kept").start(|io| async move {
            let shutdown = Shutdown::new(&io);
            drop(shutdown.clone().with_signals().unwrap());
            shutdown.triggered().await;
            shutdown.signal()
        });
        let dropped = world.host("dropped").start(|io| async move {
            drop(Shutdown::new(&io).with_signals().unwrap());
            sleep(&io, Duration::from_secs(10)).await;
        });
        world.sleep(Duration::from_secs(5)).await;
        assert_eq!(dropped.signal(SignalKind::Interrupt), 0);
        assert_eq!(kept.signal(SignalKind::Interrupt), 1);
        assert_eq!(kept.await.unwrap(), Some(SignalKind::Interrupt));
        dropped.await.unwrap();
    }

    #[volt::sim_test(seeds = 50)]
    async fn ctrl_c_reaches_a_host_that_waits_for_it(world: World) {
        let server = world.host("server").start(|io| async move { ctrl_c(&io).await.unwrap() });
        let idle = world.host("idle").start(|_| pending::<()>());
        send(&world, &server, SignalKind::Interrupt).await;
        server.await.unwrap();
        assert_eq!(idle.signal(SignalKind::Interrupt), 0);
    }
}
