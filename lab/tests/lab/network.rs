//! Packets: both families at once, the node, address reuse, pods of all shapes, labs side by side.

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use podwall_lab::{Lab, LabError, Nginx, Place, Pod, PodSpec};

use crate::SOON;

/// Connects from `client` to `server` at `address` and says which source the server saw.
fn source_seen(client: &Place, server: &Place, address: IpAddr) -> IpAddr {
    let listener = server
        .enter(|| TcpListener::bind((address, 0)).unwrap())
        .unwrap();
    let target = listener.local_addr().unwrap();
    let stream = client
        .enter(move || TcpStream::connect_timeout(&target, SOON).unwrap())
        .unwrap();
    let (_, source) = listener.accept().unwrap();
    drop(stream);
    source.ip()
}

/// Serves one greeting on port 80 of `pod`, of both families, for as long as the lab runs.
fn greet(pod: &Pod, greeting: &'static str) {
    let address: SocketAddr = "[::]:80".parse().unwrap();
    let listener = pod
        .enter(move || TcpListener::bind(address).unwrap())
        .unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(greeting.as_bytes());
        }
    });
}

fn greeting(client: &Place, address: IpAddr) -> String {
    client
        .enter(move || {
            let mut stream = TcpStream::connect_timeout(&(address, 80).into(), SOON).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        })
        .unwrap()
}

#[test]
fn pods_and_node_reach_each_other_in_both_families_at_once() {
    let mut lab = Lab::start().unwrap();
    let a = lab.pod(PodSpec::new("ns", "a")).unwrap();
    let b = lab.pod(PodSpec::new("ns", "b")).unwrap();
    // IPv6 first: with duplicate detection its addresses would not answer for a second.
    assert_eq!(source_seen(&a, &b, b.v6().into()), IpAddr::from(a.v6()));
    assert_eq!(source_seen(&a, &b, b.v4().into()), IpAddr::from(a.v4()));
    let node = lab.node();
    assert_eq!(
        source_seen(node, &b, b.v6().into()),
        IpAddr::from(node.v6())
    );
    assert_eq!(
        source_seen(node, &b, b.v4().into()),
        IpAddr::from(node.v4())
    );
    assert_eq!(
        source_seen(&a, node, node.host_v4().into()),
        IpAddr::from(a.v4())
    );
    assert_eq!(
        source_seen(&a, node, node.host_v6().into()),
        IpAddr::from(a.v6())
    );
}

#[test]
fn two_labs_in_parallel_have_the_same_addresses_and_do_not_meet() {
    let (mut one, mut two) = (Lab::start().unwrap(), Lab::start().unwrap());
    let pods = [&mut one, &mut two].map(|lab| {
        (
            lab.pod(PodSpec::new("ns", "server")).unwrap(),
            lab.pod(PodSpec::new("ns", "client")).unwrap(),
        )
    });
    assert_eq!(pods[0].0.addresses(), pods[1].0.addresses());
    greet(&pods[0].0, "lab one");
    greet(&pods[1].0, "lab two");
    assert_eq!(greeting(&pods[0].1, pods[0].0.v4().into()), "lab one");
    assert_eq!(greeting(&pods[1].1, pods[1].0.v4().into()), "lab two");
    assert_eq!(greeting(&pods[0].1, pods[0].0.v6().into()), "lab one");
    assert_eq!(greeting(&pods[1].1, pods[1].0.v6().into()), "lab two");
}

#[test]
fn a_removed_pods_address_can_go_to_a_new_pod() {
    let mut lab = Lab::start().unwrap();
    let client = lab.pod(PodSpec::new("ns", "client")).unwrap();
    let old = lab.pod(PodSpec::new("ns", "old")).unwrap();
    greet(&old, "old");
    for address in [IpAddr::from(old.v4()), old.v6().into()] {
        assert_eq!(greeting(&client, address), "old");
    }
    lab.remove("ns", "old").unwrap();
    let new = lab
        .pod(
            PodSpec::new("ns", "new")
                .address(old.v4())
                .address(old.v6()),
        )
        .unwrap();
    assert_eq!(new.addresses(), old.addresses());
    assert_ne!(new.uid(), old.uid());
    greet(&new, "new");
    for address in [IpAddr::from(old.v4()), old.v6().into()] {
        assert_eq!(greeting(&client, address), "new", "{address}");
        assert_eq!(greeting(lab.node(), address), "new", "{address}");
    }
}

#[test]
fn an_address_of_a_running_pod_is_refused_and_of_a_finished_one_given() {
    let mut lab = Lab::start().unwrap();
    let job = lab.pod(PodSpec::new("ns", "job")).unwrap();
    let taken = lab.pod(PodSpec::new("ns", "thief").address(job.v6()));
    assert!(
        matches!(taken, Err(LabError::AddressTaken { address, .. }) if address == IpAddr::from(job.v6()))
    );
    let gateway = lab.pod(PodSpec::new("ns", "thief").address(lab.node().v4()));
    assert!(matches!(gateway, Err(LabError::AddressTaken { .. })));
    let foreign = lab.pod(PodSpec::new("ns", "thief").address([192, 0, 2, 1]));
    assert!(matches!(foreign, Err(LabError::AddressOutside { .. })));
    lab.set_phase("ns", "job", "Succeeded").unwrap();
    let heir = lab
        .pod(PodSpec::new("ns", "heir").address(job.v4()))
        .unwrap();
    greet(&heir, "heir");
    assert_eq!(greeting(lab.node(), job.v4().into()), "heir");
}

#[test]
fn a_removed_pod_answers_no_more_and_its_processes_are_gone() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    let process = pod.command("sleep").arg("86400").spawn().unwrap();
    greet(&pod, "hello");
    assert_eq!(greeting(lab.node(), pod.v4().into()), "hello");
    lab.remove("ns", "pod").unwrap();
    assert!(process.status().is_some());
    let target = SocketAddr::from((pod.v4(), 80));
    let late = lab
        .node()
        .enter(move || TcpStream::connect_timeout(&target, Duration::from_millis(200)))
        .unwrap();
    assert!(late.is_err());
    assert!(matches!(
        lab.remove("ns", "pod"),
        Err(LabError::NoSuchPod { .. })
    ));
}

#[test]
fn pods_of_one_family_have_only_that() {
    let mut lab = Lab::start().unwrap();
    let four = lab.pod(PodSpec::new("ns", "four").v4_only()).unwrap();
    let six = lab.pod(PodSpec::new("ns", "six").v6_only()).unwrap();
    let both = lab.pod(PodSpec::new("ns", "both")).unwrap();
    assert_eq!((four.addresses().len(), six.addresses().len()), (1, 1));
    assert_eq!(
        source_seen(&both, &four, four.v4().into()),
        IpAddr::from(both.v4())
    );
    assert_eq!(
        source_seen(&six, &both, both.v6().into()),
        IpAddr::from(six.v6())
    );
    let target = SocketAddr::from((both.v4(), 80));
    let error = six
        .enter(move || TcpStream::connect_timeout(&target, SOON))
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
}

#[test]
fn a_pod_without_a_default_route_reaches_the_bridge_only() {
    let mut lab = Lab::start().unwrap();
    let pod = lab
        .pod(PodSpec::new("ns", "pod").no_default_route())
        .unwrap();
    assert_eq!(
        source_seen(&pod, lab.node(), lab.node().v4().into()),
        IpAddr::from(pod.v4())
    );
    for far in [
        IpAddr::from(lab.node().host_v4()),
        lab.node().host_v6().into(),
    ] {
        let error = pod
            .enter(move || TcpStream::connect_timeout(&(far, 80).into(), SOON))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{far}");
    }
}

#[test]
fn an_additional_address_is_reached_and_is_not_in_the_object() {
    let mut lab = Lab::start().unwrap();
    let foreign = [
        IpAddr::from([203, 0, 113, 7]),
        "2001:db8::7".parse().unwrap(),
    ];
    let pod = lab
        .pod(PodSpec::new("ns", "pod").also(foreign[0]).also(foreign[1]))
        .unwrap();
    let peer = lab.pod(PodSpec::new("ns", "peer")).unwrap();
    for address in foreign {
        source_seen(&peer, &pod, address);
        assert!(!pod.addresses().contains(&address));
    }
    assert_eq!(
        source_seen(&pod, &peer, peer.v4().into()),
        IpAddr::from(pod.v4())
    );
    assert_eq!(
        source_seen(&pod, &peer, peer.v6().into()),
        IpAddr::from(pod.v6())
    );
    lab.remove("ns", "pod").unwrap();
    lab.pod(PodSpec::new("ns", "pod").also(foreign[0])).unwrap();
}

#[test]
fn a_host_network_pod_lives_on_the_node() {
    let mut lab = Lab::start().unwrap();
    let host = lab.pod(PodSpec::new("ns", "host").host_network()).unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    assert_eq!(host.v4(), lab.node().host_v4());
    assert_eq!(
        source_seen(&host, &pod, pod.v4().into()),
        IpAddr::from(lab.node().v4())
    );
    lab.remove("ns", "host").unwrap();
    assert_eq!(
        source_seen(lab.node(), &pod, pod.v4().into()),
        IpAddr::from(lab.node().v4())
    );
}

#[test]
fn every_namespace_uses_reno_and_settings_can_be_changed() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    let read = |place: &Place, name: &'static str| {
        place
            .enter(move || std::fs::read_to_string(name).unwrap().trim().to_owned())
            .unwrap()
    };
    assert_eq!(
        read(&pod, "/proc/sys/net/ipv4/tcp_congestion_control"),
        "reno"
    );
    assert_eq!(
        read(lab.node(), "/proc/sys/net/ipv4/tcp_congestion_control"),
        "reno"
    );
    pod.sysctl("net.ipv4.ip_default_ttl", "63").unwrap();
    assert_eq!(read(&pod, "/proc/sys/net/ipv4/ip_default_ttl"), "63");
    assert_eq!(read(lab.node(), "/proc/sys/net/ipv4/ip_default_ttl"), "64");
    assert!(matches!(
        pod.sysctl("net.ipv4.no_such_setting", "1"),
        Err(LabError::Io { .. })
    ));
}

#[test]
fn nginx_serves_pages_large_bodies_and_slow_streams() {
    let mut lab = Lab::start().unwrap();
    let server = lab.pod(PodSpec::new("ns", "server")).unwrap();
    let client = lab.pod(PodSpec::new("ns", "client")).unwrap();
    let nginx = Nginx::start(&server, &[80, 9000], "the page of app2").unwrap();
    for (host, port) in [
        (server.v4().to_string(), 80),
        (format!("[{}]", server.v6()), 9000),
    ] {
        let answer = client.curl(&format!("http://{host}:{port}/"), SOON);
        assert_eq!((answer.exit, answer.http), (0, Some(200)), "{answer:?}");
        assert_eq!(answer.body, format!("the page of app2\nport {port}\n"));
    }
    let large = client.curl(&format!("http://{}/large", server.v4()), SOON);
    assert_eq!(large.body.len(), Nginx::LARGE);
    assert!(
        large
            .body
            .bytes()
            .zip((b'a'..=b'z').cycle())
            .all(|(got, wanted)| got == wanted)
    );
    let slow = client.curl(
        &format!("http://{}/slow", server.v4()),
        Duration::from_millis(300),
    );
    assert_eq!((slow.exit, slow.http), (28, Some(200)), "{}", slow.error);
    drop(nginx);
    let closed = client.curl(&format!("http://{}/", server.v4()), SOON);
    assert_eq!((closed.exit, closed.http), (7, None), "{closed:?}");
}

#[test]
fn the_entry_words_lead_into_the_pod() {
    let mut lab = Lab::start().unwrap();
    let pod = lab.pod(PodSpec::new("ns", "pod")).unwrap();
    // Of a user namespace one is in already, only the rest of the words is needed; `plain_user` tries them all.
    let words = pod.entry();
    let net = words
        .split(' ')
        .find(|word| word.starts_with("--net="))
        .unwrap();
    let line = format!("nsenter {net} -- ip -o address show dev eth0");
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&pod.v4().to_string()), "{line}: {output:?}");
}
