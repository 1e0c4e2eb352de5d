//! A database whose protocol lets the server speak first: the client mariadb asks mariadbd, without TLS.

use std::net::IpAddr;

use podwall_lab::{Mode, Process};

use super::stage::{Stage, fails, is_cut, succeeds};
use crate::support::SOON;

const PORT: u16 = 3306;

#[test]
fn database_in_mode_redirect() {
    play(Mode::Redirect);
}

#[test]
fn database_in_mode_queue() {
    play(Mode::Queue);
}

fn play(mode: Mode) {
    let mut stage = Stage::set(mode, "");
    let server = start(&stage);
    // Cut before the server's greeting, which the client may see as early as its connect; or not connected at all.
    let refused: &[&str] = stage.either(&["ERROR 2013", "ERROR 2002"], &["ERROR 2002"]);
    for host in stage.hosts() {
        let host = host.to_string();
        let asked = ask(&host, "select concat('it ', 'answers')");
        assert_eq!(succeeds(&stage.friend, &asked), "it answers\n");
        fails(&stage.rogue, &asked, refused);
    }
    let sessions = stage.hosts().map(|host| session(&stage, host));
    stage.revoke();
    for session in sessions {
        is_cut(&session, "Lost connection to server during query");
    }
    assert!(server.status().is_none(), "{}", server.output_so_far());
    let [host, _] = stage.hosts();
    fails(&stage.friend, &ask(&host.to_string(), "select 1"), refused);
}

/// A server with an empty directory: no tables, no rights, no InnoDB, which only costs time here.
fn start(stage: &Stage) -> Process {
    let dir = stage.lab.dir().join("database");
    std::fs::create_dir(&dir).unwrap();
    let dir = dir.display();
    let words = [
        "mariadbd".to_owned(),
        "--no-defaults".to_owned(),
        "--user=root".to_owned(),
        "--skip-grant-tables".to_owned(),
        "--skip-innodb".to_owned(),
        "--default-storage-engine=MyISAM".to_owned(),
        format!("--datadir={dir}"),
        format!("--socket={dir}/socket"),
        format!("--pid-file={dir}/pid"),
        format!("--port={PORT}"),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let server = stage.serve(&words);
    let ready = server.wait_for_line(|line| line.contains("ready for connections"), SOON * 3);
    ready.expect("mariadbd");
    server
}

fn ask<'a>(host: &'a str, query: &'a str) -> [&'a str; 9] {
    [
        "mariadb",
        "--no-defaults",
        "--batch",
        "--skip-column-names",
        "--unbuffered",
        "--host",
        host,
        "--execute",
        query,
    ]
}

/// A session in the middle of a query that takes minutes.
fn session(stage: &Stage, host: IpAddr) -> Process {
    let host = host.to_string();
    let words = ask(&host, "select 'in'; select sleep (600)");
    let command = stage.friend.command(words[0]).args(&words[1..]);
    let session = command.spawn().unwrap();
    session.wait_for_line(|line| line == "in", SOON).unwrap();
    session
}
