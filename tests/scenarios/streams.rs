//! Pipes in memory and copies both ways lose nothing, and pass on the end of each direction.

use std::io::ErrorKind;

use crate::harness::{runtime, scenario};
use volt::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
use volt::net::{TcpListener, TcpStream};

/// Bytes in which every position within 251 differs, so that a loss or an exchange shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

scenario!(a_small_pipe_carries_what_does_not_fit_in_it, || {
    runtime(2).run(|io| async move {
        let (mut near, mut far) = duplex(7);
        let writing = io.spawn(async move {
            near.write_all(&pattern(500)).await.unwrap();
            near.close().await.unwrap();
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
            answer
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, pattern(500));
        far.write_all(b"thanks, all there").await.unwrap();
        drop(far);
        assert_eq!(writing.await.unwrap(), b"thanks, all there");
    });
});

scenario!(a_writer_that_waits_hears_that_the_other_end_is_gone, || {
    runtime(2).run(|io| async move {
        let (mut near, far) = duplex(1);
        let writing = io.spawn(async move { near.write_all(b"too much").await });
        drop(io.spawn(async move { drop(far) }));
        assert_eq!(writing.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
});

scenario!(a_proxy_copies_both_ways_and_passes_on_each_end, || {
    runtime(2).run(|io| async move {
        let listener = TcpListener::bind(&io, "127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut inner, mut server) = duplex(64);
        let proxy = io.spawn(async move {
            let (mut outer, _) = listener.accept().await.unwrap();
            copy_bidirectional(&mut outer, &mut inner).await.unwrap()
        });
        let serving = io.spawn(async move {
            let mut question = Vec::new();
            server.read_to_end(&mut question).await.unwrap();
            // The client has ended its direction; the way back is still there.
            server.write_all(&pattern(3_000)).await.unwrap();
            question
        });
        let mut client = TcpStream::connect(&io, address).await.unwrap();
        AsyncWriteExt::write_all(&mut client, &pattern(2_000)).await.unwrap();
        client.close().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer == pattern(3_000));
        assert!(serving.await.unwrap() == pattern(2_000));
        assert_eq!(proxy.await.unwrap(), (2_000, 3_000));
    });
});
