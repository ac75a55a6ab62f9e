//! A reader and a writer that borrow one stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;

use super::{Peek, Read, ReadExact, ReadVectored, Readiness, UnixStream};
use super::{Write, WriteAll, WriteVectored};

/// The methods that halves have of their stream.
macro_rules! of_stream {
    ($($(#[$attribute:meta])* fn $name:ident<$a:lifetime $(, $b:lifetime)?>(
        $($argument:ident: $type:ty),*
    ) -> $result:ty;)+) => {$(
        $(#[$attribute])*
        #[track_caller]
        pub fn $name<$a $(, $b)?>(&$a self, $($argument: $type),*) -> $result {
            self.as_stream().$name($($argument),*)
        }
    )+};
}

macro_rules! reading {
    () => {
        $crate::net::unix::halves::of_stream! {
            /// See [`UnixStream::read`].
            fn read<'a>(buffer: &'a mut [u8]) -> Read<'a>;

            /// See [`UnixStream::read_vectored`].
            fn read_vectored<'a, 'b>(buffers: &'a mut [IoSliceMut<'b>]) -> ReadVectored<'a, 'b>;

            /// See [`UnixStream::peek`].
            fn peek<'a>(buffer: &'a mut [u8]) -> Peek<'a>;

            /// See [`UnixStream::read_exact`].
            fn read_exact<'a>(buffer: &'a mut [u8]) -> ReadExact<'a>;
        }

        /// See [`UnixStream::readable`].
        #[track_caller]
        pub fn readable(&self) -> Readiness<'_> {
            self.as_stream().readable()
        }

        /// See [`UnixStream::try_read`].
        ///
        /// # Errors
        /// As there.
        pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.as_stream().try_read(buffer)
        }
    };
}

macro_rules! writing {
    () => {
        $crate::net::unix::halves::of_stream! {
            /// See [`UnixStream::write`].
            fn write<'a>(bytes: &'a [u8]) -> Write<'a>;

            /// See [`UnixStream::write_vectored`].
            fn write_vectored<'a>(slices: &'a [IoSlice<'a>]) -> WriteVectored<'a>;

            /// See [`UnixStream::write_all`].
            fn write_all<'a>(bytes: &'a [u8]) -> WriteAll<'a>;
        }

        /// See [`UnixStream::writable`].
        #[track_caller]
        pub fn writable(&self) -> Readiness<'_> {
            self.as_stream().writable()
        }

        /// See [`UnixStream::try_write`].
        ///
        /// # Errors
        /// As there.
        pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.as_stream().try_write(bytes)
        }

        /// Ends the writing direction: the peer reads to the end. See [`UnixStream::shutdown`].
        ///
        /// # Errors
        /// As there.
        pub fn shutdown(&self) -> io::Result<()> {
            self.as_stream().shutdown(Shutdown::Write)
        }
    };
}

macro_rules! addresses {
    () => {
        /// See [`UnixStream::peer_addr`].
        ///
        /// # Errors
        /// As there.
        pub fn peer_addr(&self) -> io::Result<SocketAddr> {
            self.as_stream().peer_addr()
        }

        /// See [`UnixStream::local_addr`].
        ///
        /// # Errors
        /// As there.
        pub fn local_addr(&self) -> io::Result<SocketAddr> {
            self.as_stream().local_addr()
        }
    };
}

pub(super) use {addresses, of_stream, reading, writing};

/// The reading half of [`UnixStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'s>(&'s UnixStream);

impl<'s> ReadHalf<'s> {
    pub(super) fn new(stream: &'s UnixStream) -> ReadHalf<'s> {
        ReadHalf(stream)
    }

    pub(super) fn as_stream(&self) -> &UnixStream {
        self.0
    }

    reading!();
    addresses!();
}

/// The writing half of [`UnixStream::split`]. Dropping it ends nothing.
#[derive(Debug)]
pub struct WriteHalf<'s>(&'s UnixStream);

impl<'s> WriteHalf<'s> {
    pub(super) fn new(stream: &'s UnixStream) -> WriteHalf<'s> {
        WriteHalf(stream)
    }

    pub(super) fn as_stream(&self) -> &UnixStream {
        self.0
    }

    writing!();
    addresses!();
}
