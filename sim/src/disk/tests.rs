//! The state machine by itself, with scripted decisions.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::path::Path;

use super::{Disk, Errno, Fallible, Handle, How, Kind, Surroundings};

/// A clock that ticks, and decisions that a test writes down: there must be as many as are asked
/// for.
pub(super) struct Script {
    now: u64,
    answers: VecDeque<u64>,
    observed: Vec<u8>,
}

impl Script {
    pub(super) fn new(answers: &[u64]) -> Script {
        Script { now: 0, answers: answers.iter().copied().collect(), observed: Vec::new() }
    }
}

impl Surroundings for Script {
    fn now(&self) -> u64 {
        self.now
    }

    fn choose(&mut self, n: u64) -> u64 {
        if n == 1 {
            return 0;
        }
        let answer = self.answers.pop_front().expect("the test writes down every decision");
        assert!(answer < n, "{answer} is no answer among {n}");
        answer
    }

    fn observe(&mut self, bytes: &[u8]) {
        self.observed.extend_from_slice(bytes);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.answers.is_empty(), "decisions are left: {:?}", self.answers);
        }
    }
}

const CREATE: How = How {
    read: true,
    write: true,
    create: true,
    append: false,
    truncate: false,
    create_new: false,
    mode: 0o666,
};
const ONLY_READ: How = How { write: false, create: false, ..CREATE };

/// No decision is asked for.
fn calm() -> Script {
    Script::new(&[])
}

fn open(disk: &mut Disk, path: &str, how: How) -> Result<Handle, Errno> {
    disk.open(Path::new(path), how, &mut calm())
}

/// Writes a whole file and leaves it open.
fn put(disk: &mut Disk, path: &str, bytes: &[u8]) -> Handle {
    let handle = open(disk, path, How { truncate: true, ..CREATE }).unwrap();
    assert_eq!(disk.write(handle, bytes, None, &mut calm()), Ok(bytes.len()));
    handle
}

fn get(disk: &mut Disk, path: &str) -> Result<Vec<u8>, Errno> {
    let handle = open(disk, path, ONLY_READ)?;
    let mut bytes = vec![0; 4_096];
    let count = disk.read(handle, &mut bytes, None, &mut calm())?;
    disk.close(handle);
    bytes.truncate(count);
    Ok(bytes)
}

fn sync_directory(disk: &mut Disk, path: &str) {
    let handle = open(disk, path, ONLY_READ).unwrap();
    disk.sync(handle, false).unwrap();
    disk.close(handle);
}

fn make_directory(disk: &mut Disk, path: &str) -> Result<(), Errno> {
    disk.create_dir(Path::new(path), 0o777, &mut calm())
}

fn rename(disk: &mut Disk, from: &str, to: &str) -> Result<(), Errno> {
    disk.rename(Path::new(from), Path::new(to), &mut calm())
}

fn remove(disk: &mut Disk, path: &str) -> Result<(), Errno> {
    disk.remove_file(Path::new(path), &mut calm())
}

fn symlink(disk: &mut Disk, original: &str, link: &str) -> Result<(), Errno> {
    disk.symlink(Path::new(original), Path::new(link), &mut calm())
}

#[test]
fn reading_and_writing_share_a_position_unless_they_have_an_offset() {
    let mut disk = Disk::new();
    let handle = put(&mut disk, "/file", b"hello");
    assert_eq!(disk.write(handle, b"J", Some(0), &mut calm()), Ok(1));
    assert_eq!(disk.write(handle, b" world", None, &mut calm()), Ok(6));
    let mut bytes = [0; 5];
    assert_eq!(disk.read(handle, &mut bytes, Some(6), &mut calm()), Ok(5));
    assert_eq!(&bytes, b"world");
    assert_eq!(disk.seek(handle, SeekFrom::End(-5)), Ok(6));
    assert_eq!(disk.seek(handle, SeekFrom::Current(-6)), Ok(0));
    assert_eq!(disk.read(handle, &mut bytes, None, &mut calm()), Ok(5));
    assert_eq!(&bytes, b"Jello");
    assert_eq!(disk.seek(handle, SeekFrom::Current(-6)), Err(Errno::Invalid));
    assert_eq!(disk.read(handle, &mut bytes, Some(99), &mut calm()), Ok(0));
    disk.close(handle);
    assert_eq!(disk.read(handle, &mut bytes, None, &mut calm()), Err(Errno::Stale));
}

#[test]
fn appending_writes_at_the_end_whatever_the_offset() {
    let mut disk = Disk::new();
    put(&mut disk, "/log", b"one");
    let how = How { append: true, write: false, read: false, ..CREATE };
    let handle = open(&mut disk, "/log", how).unwrap();
    assert_eq!(disk.write(handle, b"two", None, &mut calm()), Ok(3));
    assert_eq!(disk.write(handle, b"!", Some(0), &mut calm()), Ok(1));
    assert_eq!(get(&mut disk, "/log").unwrap(), b"onetwo!");
    let mut byte = [0];
    assert_eq!(disk.read(handle, &mut byte, None, &mut calm()), Err(Errno::BadDescriptor));
}

#[test]
fn every_byte_belongs_to_the_hash() {
    let mut disk = Disk::new();
    let mut script = calm();
    let handle = disk.open(Path::new("/file"), CREATE, &mut script).unwrap();
    disk.write(handle, b"write", None, &mut script).unwrap();
    disk.read(handle, &mut [0; 3], Some(1), &mut script).unwrap();
    assert_eq!(script.observed, b"writerit");
}

#[test]
fn errors_are_those_of_linux() {
    let mut disk = Disk::new();
    put(&mut disk, "/file", b"x");
    make_directory(&mut disk, "/dir").unwrap();
    make_directory(&mut disk, "/dir/inner").unwrap();
    assert_eq!(open(&mut disk, "/none", ONLY_READ), Err(Errno::NotFound));
    assert_eq!(open(&mut disk, "", ONLY_READ), Err(Errno::NotFound));
    assert_eq!(open(&mut disk, "/none/file", CREATE), Err(Errno::NotFound));
    assert_eq!(open(&mut disk, "/file/inner", CREATE), Err(Errno::NotADirectory));
    assert_eq!(open(&mut disk, "/dir", CREATE), Err(Errno::IsADirectory));
    let only_new = How { create_new: true, ..CREATE };
    assert_eq!(open(&mut disk, "/file", only_new), Err(Errno::AlreadyExists));
    let nothing = How { read: false, ..ONLY_READ };
    assert_eq!(open(&mut disk, "/file", nothing), Err(Errno::Invalid));
    assert_eq!(open(&mut disk, &"n".repeat(256), CREATE), Err(Errno::NameTooLong));
    assert_eq!(make_directory(&mut disk, "/dir"), Err(Errno::AlreadyExists));
    assert_eq!(make_directory(&mut disk, "/"), Err(Errno::AlreadyExists));
    assert_eq!(remove(&mut disk, "/dir"), Err(Errno::IsADirectory));
    let remove_dir = |disk: &mut Disk, path: &str| disk.remove_dir(Path::new(path), &mut calm());
    assert_eq!(remove_dir(&mut disk, "/dir"), Err(Errno::NotEmpty));
    assert_eq!(remove_dir(&mut disk, "/file"), Err(Errno::NotADirectory));
    assert_eq!(rename(&mut disk, "/dir", "/dir/inner/deeper"), Err(Errno::Invalid));
    assert_eq!(rename(&mut disk, "/file", "/dir"), Err(Errno::IsADirectory));
    assert_eq!(rename(&mut disk, "/dir/inner", "/file"), Err(Errno::NotADirectory));
    let directory = open(&mut disk, "/dir", ONLY_READ).unwrap();
    assert_eq!(disk.read(directory, &mut [0], None, &mut calm()), Err(Errno::IsADirectory));

    disk.set_mode(Path::new("/file"), 0o444).unwrap();
    assert_eq!(open(&mut disk, "/file", CREATE), Err(Errno::AccessDenied));
    disk.set_mode(Path::new("/dir"), 0o555).unwrap();
    assert_eq!(make_directory(&mut disk, "/dir/new"), Err(Errno::AccessDenied));
    disk.set_mode(Path::new("/dir"), 0o600).unwrap();
    assert_eq!(get(&mut disk, "/dir/inner"), Err(Errno::AccessDenied));
}

#[test]
fn links_lead_to_their_targets() {
    let mut disk = Disk::new();
    make_directory(&mut disk, "/dir").unwrap();
    symlink(&mut disk, "../dir", "/dir/self").unwrap();
    symlink(&mut disk, "file", "/dir/link").unwrap();
    // The file is made where the link leads.
    put(&mut disk, "/dir/self/link", b"content");
    assert_eq!(get(&mut disk, "dir/file").unwrap(), b"content");
    let canonical = disk.canonicalize(Path::new("/dir/self/../dir/./link")).unwrap();
    assert_eq!(canonical, Path::new("/dir/file"));
    assert_eq!(disk.read_link(Path::new("/dir/link")), Ok("file".into()));
    assert_eq!(disk.read_link(Path::new("/dir/file")), Err(Errno::Invalid));
    assert_eq!(disk.stat_path(Path::new("/dir/link"), false).unwrap().kind, Kind::Symlink);
    symlink(&mut disk, "/round", "/round").unwrap();
    assert_eq!(get(&mut disk, "/round"), Err(Errno::TooManyLinks));

    let (file, other) = (Path::new("/dir/file"), Path::new("/other"));
    disk.hard_link(file, other, &mut calm()).unwrap();
    assert_eq!(disk.stat_path(other, true).unwrap().links, 2);
    remove(&mut disk, "/dir/file").unwrap();
    assert_eq!(get(&mut disk, "/other").unwrap(), b"content");
    let linked = disk.hard_link(Path::new("/dir"), file, &mut calm());
    assert_eq!(linked, Err(Errno::NotPermitted));
}

#[test]
fn a_list_begins_where_a_decision_says() {
    let mut disk = Disk::new();
    for name in ["/a", "/b", "/c"] {
        put(&mut disk, name, b"");
    }
    let list = disk.list(Path::new("/"), &mut Script::new(&[1])).unwrap();
    let names: Vec<_> = list.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(names, ["b", "c", "a"]);
}

#[test]
fn a_file_survives_a_crash_once_it_and_its_directory_are_synced() {
    let mut disk = Disk::new();
    let file = put(&mut disk, "/file", b"content");
    disk.sync(file, false).unwrap();
    disk.crash(&mut Script::new(&[0]));
    assert_eq!(get(&mut disk, "/file"), Err(Errno::NotFound), "its entry was not synced");

    put(&mut disk, "/file", b"content");
    sync_directory(&mut disk, "/");
    disk.crash(&mut Script::new(&[0]));
    assert_eq!(get(&mut disk, "/file").unwrap(), b"", "its content was not synced");

    let file = put(&mut disk, "/file", b"content");
    disk.sync(file, true).unwrap();
    disk.crash(&mut calm());
    assert_eq!(get(&mut disk, "/file").unwrap(), b"content");
    assert!(disk.leftovers().is_empty());
    assert_eq!(disk.write(file, b"x", None, &mut calm()), Err(Errno::Stale));
}

#[test]
fn of_the_changes_of_entries_the_first_few_survive_in_their_order() {
    for (survive, names) in [(0, vec![]), (1, vec!["a"]), (2, vec!["a", "b"]), (3, vec!["a", "c"])]
    {
        let mut disk = Disk::new();
        put(&mut disk, "/a", b"");
        put(&mut disk, "/b", b"");
        rename(&mut disk, "/b", "/c").unwrap();
        disk.crash(&mut Script::new(&[survive]));
        let answers = if names.len() > 1 { vec![0] } else { vec![] };
        let list = disk.list(Path::new("/"), &mut Script::new(&answers)).unwrap();
        let found: Vec<_> = list.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(found, names);
    }
}

#[test]
fn a_rename_is_durable_as_a_whole_with_either_of_its_directories() {
    for synced in ["/from", "/to"] {
        let mut disk = Disk::new();
        make_directory(&mut disk, "/from").unwrap();
        make_directory(&mut disk, "/to").unwrap();
        sync_directory(&mut disk, "/");
        let file = put(&mut disk, "/from/file", b"content");
        disk.sync(file, false).unwrap();
        rename(&mut disk, "/from/file", "/to/file").unwrap();
        sync_directory(&mut disk, synced);
        disk.crash(&mut calm());
        assert_eq!(get(&mut disk, "/from/file"), Err(Errno::NotFound));
        assert_eq!(get(&mut disk, "/to/file").unwrap(), b"content");
        // `..` of what moved leads to where it is now.
        make_directory(&mut disk, "/from/dir").unwrap();
        rename(&mut disk, "/from/dir", "/to/dir").unwrap();
        assert_eq!(get(&mut disk, "/to/dir/../file").unwrap(), b"content");
    }
}

#[test]
fn a_removed_file_lives_while_it_is_open_and_comes_back_if_the_removal_is_lost() {
    let mut disk = Disk::new();
    let file = put(&mut disk, "/file", b"content");
    disk.sync(file, false).unwrap();
    sync_directory(&mut disk, "/");
    remove(&mut disk, "/file").unwrap();
    assert_eq!(disk.used(), 7);
    let mut bytes = [0; 7];
    assert_eq!(disk.read(file, &mut bytes, Some(0), &mut calm()), Ok(7));
    disk.close(file);
    assert_eq!(disk.used(), 0);
    disk.crash(&mut Script::new(&[0]));
    assert_eq!(get(&mut disk, "/file").unwrap(), b"content");
    remove(&mut disk, "/file").unwrap();
    sync_directory(&mut disk, "/");
    disk.crash(&mut calm());
    assert_eq!(get(&mut disk, "/file"), Err(Errno::NotFound));
}

#[test]
fn a_full_disk_takes_what_fits_and_no_more() {
    let mut disk = Disk::new();
    disk.set_capacity(Some(10));
    let file = put(&mut disk, "/file", b"123456");
    assert_eq!(disk.write(file, b"789abc", None, &mut calm()), Ok(4));
    assert_eq!(disk.write(file, b"b", None, &mut calm()), Err(Errno::NoSpace));
    assert_eq!(disk.write(file, b"0", Some(0), &mut calm()), Ok(1), "it takes no more room");
    assert_eq!(disk.set_len(file, u64::MAX, &mut calm()), Err(Errno::TooLarge));
    assert_eq!(disk.set_len(file, 11, &mut calm()), Err(Errno::NoSpace));
    disk.set_len(file, 2, &mut calm()).unwrap();
    assert_eq!(disk.write(file, b"far", Some(9), &mut calm()), Ok(1));
    assert_eq!((get(&mut disk, "/file").unwrap().len(), disk.used()), (10, 10));
}

#[test]
fn operations_fail_as_often_as_they_are_told() {
    let mut disk = Disk::new();
    let file = put(&mut disk, "/file", b"old");
    disk.sync(file, false).unwrap();
    sync_directory(&mut disk, "/");
    disk.fail_next(Fallible::Read, 2);
    for _ in 0..2 {
        assert_eq!(disk.read(file, &mut [0], Some(0), &mut calm()), Err(Errno::Io));
    }
    assert_eq!(disk.read(file, &mut [0], Some(0), &mut calm()), Ok(1));
    disk.fail_next(Fallible::Write, 1);
    assert_eq!(disk.write(file, b"new", Some(0), &mut calm()), Err(Errno::Io));
    assert_eq!(disk.write(file, b"new", Some(0), &mut calm()), Ok(3));
    disk.fail_next(Fallible::Sync, 1);
    assert_eq!(disk.sync(file, false), Err(Errno::Io));
    assert_eq!(disk.sync(file, false), Ok(()));
    disk.crash(&mut calm());
    assert_eq!(get(&mut disk, "/file").unwrap(), b"old", "the failed sync gave it up");
}

#[test]
fn a_mode_is_durable_once_it_is_synced() {
    let mut disk = Disk::new();
    let path = Path::new("/file");
    let file = put(&mut disk, "/file", b"");
    sync_directory(&mut disk, "/");
    let mode = |disk: &Disk| disk.stat_path(path, true).unwrap().mode;
    assert_eq!(mode(&disk), 0o644);
    disk.set_mode_open(file, 0o600).unwrap();
    disk.sync(file, true).unwrap();
    disk.crash(&mut calm());
    assert_eq!(mode(&disk), 0o644);
    let file = open(&mut disk, "/file", ONLY_READ).unwrap();
    disk.set_mode_open(file, 0o600).unwrap();
    disk.sync(file, false).unwrap();
    disk.crash(&mut calm());
    assert_eq!(mode(&disk), 0o600);
}
