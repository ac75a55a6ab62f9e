//! Processes: what they read, write and answer, and that nothing of them is left behind.
//!
//! Zombies are counted in `/proc`.

#![cfg(all(target_os = "linux", not(any(volt_loom, volt_shuttle))))]

use std::fs;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use volt::process::{Child, Command, Stdio};
use volt::signal::SignalKind;
use volt::time::{sleep, timeout};
use volt::{Io, Runtime};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn run<F: Future>(program: impl FnOnce(Io) -> F) -> F::Output {
    let runtime = Runtime::builder().workers(2).build().expect("the system has threads");
    runtime.run(|io| async move {
        let limit = io.clone();
        let result = timeout(&limit, PATIENCE, program(io)).await;
        result.expect("the program takes too long")
    })
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A process that ends when its input does.
fn cat(io: &Io) -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn(io).unwrap()
}

/// Waits until the system has forgotten a process of this one: it has ended, and is no zombie.
fn wait_until_gone(process: u32) {
    let began = Instant::now();
    while is_own(process) {
        let state = fs::read_to_string(format!("/proc/{process}/stat"));
        assert!(began.elapsed() < PATIENCE, "process {process} is left behind: {state:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process of that number is a child of this one, be it a zombie.
fn is_own(process: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    // "number (name) state parent ...": the name may hold anything.
    let rest = &stat[stat.rfind(')').expect("the name is in brackets") + 1..];
    let parent = rest.split_whitespace().nth(1).expect("the parent's number");
    parent == std::process::id().to_string()
}

/// How many descriptors the process has that tell of processes, or are pipes.
fn descriptors() -> usize {
    let targets = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let targets = targets.filter_map(|entry| fs::read_link(entry.path()).ok());
    let is_ours = |target: &Path| {
        let target = target.to_string_lossy();
        target.contains("pidfd") || target.starts_with("pipe:")
    };
    targets.filter(|target| is_ours(target.as_path())).count()
}

#[test]
fn what_is_written_comes_back() {
    run(|io| async move {
        let mut child = cat(&io);
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        for word in ["one", "two", "three"] {
            input.write_all(word.as_bytes()).await?;
            let mut bytes = [0; 16];
            let mut count = 0;
            while count < word.len() {
                count += output.read(&mut bytes[count..]).await?;
            }
            assert_eq!(&bytes[..count], word.as_bytes());
        }
        assert!(child.try_wait()?.is_none());
        drop(input);
        assert_eq!(output.read(&mut [0; 16]).await?, 0);
        assert!(child.wait().await?.success());
        Ok::<(), io::Error>(())
    })
    .unwrap();
}

#[test]
fn the_traits_of_the_field_read_write_and_close() {
    run(|io| async move {
        let mut child = cat(&io);
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let written =
            poll_fn(|context| Pin::new(&mut input).poll_write(context, b"hello")).await.unwrap();
        assert_eq!(written, 5);
        poll_fn(|context| Pin::new(&mut input).poll_close(context)).await.unwrap();
        let closed = poll_fn(|context| Pin::new(&mut input).poll_write(context, b"x")).await;
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(input.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(input.write_all(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut all = Vec::new();
        loop {
            let mut bytes = [0; 16];
            let read = poll_fn(|context| Pin::new(&mut output).poll_read(context, &mut bytes));
            match read.await.unwrap() {
                0 => break,
                count => all.extend_from_slice(&bytes[..count]),
            }
        }
        assert_eq!(all, b"hello");
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn the_status_says_how_a_process_ended() {
    run(|io| async move {
        for code in [0, 1, 77] {
            let status = shell(&format!("exit {code}")).status(&io).await?;
            assert_eq!((status.code(), status.success()), (Some(code), code == 0));
        }
        let status = shell("kill -TERM $$").status(&io).await?;
        assert_eq!((status.code(), status.signal()), (None, Some(15)));

        let mut child = shell("exit 5").spawn(&io)?;
        let id = child.id();
        for _ in 0..3 {
            assert_eq!(child.wait().await?.code(), Some(5));
            assert_eq!(child.try_wait()?.and_then(|status| status.code()), Some(5));
        }
        assert!(!is_own(id));
        // It has ended already.
        child.start_kill()?;
        child.signal(SignalKind::Terminate)?;
        child.kill().await?;

        let mut child = cat(&io);
        child.signal(SignalKind::User1)?;
        assert_eq!(child.wait().await?.signal(), Some(10));
        Ok::<(), io::Error>(())
    })
    .unwrap();
}

#[test]
fn what_is_not_there_is_not_started() {
    run(|io| async move {
        let missing = "/no/such/program";
        assert_eq!(Command::new(missing).spawn(&io).unwrap_err().kind(), ErrorKind::NotFound);
        let status = Command::new(missing).status(&io).await;
        assert_eq!(status.unwrap_err().kind(), ErrorKind::NotFound);
        let output = Command::new(missing).output(&io).await;
        assert_eq!(output.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_command_is_as_it_is_set_up() {
    run(|io| async move {
        let mut command = shell("echo $FIRST $SECOND $HOME; pwd; echo $0 $1");
        command.args(["zero", "one"]).env_clear().env("FIRST", "1").envs([("SECOND", "2")]);
        command.env("HOME", "gone").env_remove("HOME").current_dir("/");
        assert_eq!((command.get_program(), command.get_args().len()), ("sh".as_ref(), 4));
        assert_eq!(command.get_current_dir(), Some(Path::new("/")));
        assert_eq!(command.get_envs().count(), 2);
        for _ in 0..2 {
            let output = command.output(&io).await.unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "1 2\n/\nzero one\n");
        }
        // What `output` captures is the terminal's again after it.
        let child = command.stdout(Stdio::null()).spawn(&io).unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());

        let mut command = Command::new("sh");
        command.arg0("called").process_group(0).args(["-c", "echo $0"]);
        // SAFETY: it makes no call at all.
        unsafe { command.pre_exec(|| Ok(())) };
        let output = command.output(&io).await.unwrap();
        assert_eq!(output.stdout, b"called\n");
        // SAFETY: it makes no call at all.
        unsafe { command.pre_exec(|| Err(ErrorKind::AddrInUse.into())) };
        assert!(command.output(&io).await.is_err());
    });
}

#[test]
fn a_killed_process_has_ended() {
    run(|io| async move {
        let mut child = Command::new("sleep").arg("1000").spawn(&io).unwrap();
        let id = child.id();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().await.unwrap();
        assert!(!is_own(id));
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    });
}

#[test]
fn a_dropped_wait_loses_nothing() {
    run(|io| async move {
        let mut child = cat(&io);
        let input = child.stdin.take();
        for _ in 0..3 {
            let waited = timeout(&io, Duration::from_millis(2), child.wait()).await;
            assert!(waited.is_err(), "`cat` ends before its input");
            let mut wait = pin!(child.wait());
            let polled = poll_fn(|context| Poll::Ready(wait.as_mut().poll(context))).await;
            assert!(polled.is_pending());
        }
        drop(input);
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn wait_ends_the_input() {
    run(|io| async move {
        let mut child = cat(&io);
        child.stdin.as_ref().unwrap().write_all(b"x").await.unwrap();
        assert!(child.wait().await.unwrap().success());
        let child = cat(&io);
        assert!(child.wait_with_output().await.unwrap().status.success());
    });
}

#[test]
fn both_outputs_are_read_at_once() {
    // Each is more than a pipe holds: a reader of one after the other would wait for ever.
    const LENGTH: usize = 1 << 20;
    run(|io| async move {
        let script = format!(
            "head -c {LENGTH} /dev/zero | tr '\\0' e >&2; head -c {LENGTH} /dev/zero | tr '\\0' o"
        );
        for script in [script.clone(), format!("({script}) & wait")] {
            let output = shell(&script).output(&io).await.unwrap();
            assert!(output.status.success());
            assert!(
                output.stdout.len() == LENGTH && output.stdout.iter().all(|byte| *byte == b'o')
            );
            assert!(
                output.stderr.len() == LENGTH && output.stderr.iter().all(|byte| *byte == b'e')
            );
        }
    });
}

#[test]
fn more_than_a_pipe_holds_goes_through_a_process() {
    const LENGTH: usize = 1 << 20;
    run(|io| async move {
        let mut child = cat(&io);
        let input = child.stdin.take().unwrap();
        let bytes: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
        let sent = bytes.clone();
        let writing = io.spawn(async move { input.write_all(&sent).await });
        let output = child.wait_with_output().await.unwrap();
        writing.await.unwrap().unwrap();
        assert!(output.stdout == bytes, "the bytes are not the same");
    });
}

#[test]
fn a_hundred_processes_at_once() {
    run(|io| async move {
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let inside = io.clone();
                io.spawn(async move {
                    let mut child = shell(&format!("read line; exit {number}"))
                        .stdin(Stdio::piped())
                        .spawn(&inside)?;
                    let id = child.id();
                    sleep(&inside, Duration::from_millis(number % 7)).await;
                    child.stdin.take().unwrap().write_all(b"\n").await?;
                    assert_eq!(child.wait().await?.code(), Some(number as i32));
                    assert!(!is_own(id));
                    Ok::<(), io::Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(io.metrics().blocking_threads, 0, "a thread has waited");
    });
}

#[test]
fn a_dropped_child_is_reaped_when_it_ends() {
    run(|io| async move {
        let mut child = cat(&io);
        let (id, input) = (child.id(), child.stdin.take());
        drop(child);
        sleep(&io, Duration::from_millis(5)).await;
        assert!(is_own(id), "it was not asked to end");
        drop(input);
        let gone = io.spawn_blocking(move || wait_until_gone(id));
        gone.await.unwrap();
    });
}

#[test]
fn kill_on_drop_kills_and_leaves_no_zombie() {
    run(|io| async move {
        let mut command = Command::new("sleep");
        command.arg("1000").kill_on_drop(true);
        let child = command.spawn(&io).unwrap();
        let mut ids = vec![child.id()];
        drop(child);
        // In a task that is cancelled, too.
        let child = command.spawn(&io).unwrap();
        ids.push(child.id());
        let task = io.spawn(async move { child.wait_with_output().await });
        sleep(&io, Duration::from_millis(2)).await;
        assert!(task.cancel().await.unwrap_err().is_cancelled());
        let gone = io.spawn_blocking(move || ids.into_iter().for_each(wait_until_gone));
        gone.await.unwrap();
    });
}

#[test]
fn what_a_runtime_leaves_is_reaped_when_the_next_process_starts() {
    let (killed, (left, input)) = run(|io| async move {
        let mut command = Command::new("sleep");
        let killed = command.arg("1000").kill_on_drop(true).spawn(&io).unwrap();
        let mut left = cat(&io);
        let input = left.stdin.take().unwrap().into_stdio().unwrap();
        let ids = (killed.id(), (left.id(), input));
        io.spawn(async move {
            let _children = (killed, left);
            std::future::pending::<()>().await;
        });
        ids
    });
    assert!(is_own(left));
    drop(input);
    let began = Instant::now();
    while is_own(killed) || is_own(left) {
        assert!(began.elapsed() < PATIENCE, "a process is left behind");
        run(|io| async move { Command::new("true").status(&io).await.unwrap() });
    }
}

#[test]
fn a_process_outlives_its_runtime_with_an_error() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let mut child = runtime.run(|io| async move { cat(&io) });
    let io = runtime.io();
    drop(runtime);
    let outside = Runtime::builder().workers(1).build().unwrap();
    let refused = Command::new("sleep").arg("1000").spawn(&io).unwrap_err();
    assert!(refused.to_string().contains("shut down"), "{refused}");
    outside.run(|_| async move {
        let error = child.stdout.as_ref().unwrap().read(&mut [0; 4]).await.unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        let error = child.wait().await.unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        child.start_kill().unwrap();
    });
}

#[test]
fn nothing_is_left_open() {
    // By itself: other tests have descriptors, too.
    let own = "VOLT_TEST_COUNTS_DESCRIPTORS";
    if std::env::var_os(own).is_none() {
        let program = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(program);
        let arguments = ["--exact", "nothing_is_left_open", "--test-threads=1"];
        let output = command.args(arguments).env(own, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    run(|io| async move {
        let before = descriptors();
        for _ in 0..20 {
            let mut child = cat(&io);
            child.kill().await.unwrap();
            shell("echo x; echo y >&2").output(&io).await.unwrap();
            let _ = Command::new("/no/such/program").output(&io).await;
        }
        assert_eq!(descriptors(), before);
    });
}

#[cfg(feature = "sim")]
#[test]
fn a_simulation_refuses_by_name() {
    let report = volt::sim::Sim::builder().sweep(0..5).machine(|| {
        Runtime::builder().workers(1).build().unwrap().run(|io| async move {
            for error in [
                Command::new("true").spawn(&io).map(|_| ()).unwrap_err(),
                Command::new("true").status(&io).await.map(|_| ()).unwrap_err(),
                Command::new("true").output(&io).await.map(|_| ()).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                let message = error.to_string();
                assert!(message.starts_with("processes cannot be simulated"), "{message}");
            }
        });
    });
    report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
}
