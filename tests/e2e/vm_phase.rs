//! The memory of a kernel that really crashed is read, as it is everywhere: by cp, through a pipe as to ssh,
//! by makedumpfile that maps it and by makedumpfile that does not. The sender says how far that is, of the
//! first two, and how much is written, of the others; and that the dump has failed, when it has.

use fence_kdump_tests::signed::phase::{BOOTED, DUMPING, FAILED, FINISHED, LEAVING};
use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::vm::{Assets, Image, Machine, Moment, Sender};
use fence_kdump_tests::{Need, Netns, datagram, programs, requires};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What runs in the crash kernel in the sender's place begins with this: it unpacks what follows it, the sender too.
const BEGIN: &str = r#"#!/bin/busybox sh
say() { echo "<2>vm: $*" >/dev/kmsg; }
mkdir /x /tmp
tail -c +OFFSET "$0" | tar xz -C /x
set -o pipefail
# As to a disk or a network: an idle machine reads this little memory faster than anybody looks.
slowly() { sleep 4; cat >/dev/null; }
dump() { /x/ld.so --library-path /x /x/makedumpfile "$@"; }
/x/fence_kdump_send -v -i1 -k /x/key "$@" &
say "size of vmcore: $(stat -c %s /proc/vmcore)."
sleep 2
"#;

/// All goes well.
const WELL: &str = r#"
end() {
    say "$1: $2"
    /x/fence_kdump_send --phase booted || say "nobody could be told"
    sleep 2
}
cp /proc/vmcore /dev/null &
sleep 0.3; kill -STOP $!; sleep 4; kill -CONT $!
wait $!
end cp $?
cat /proc/vmcore | slowly
end pipe $?
dump -F -d 31 /proc/vmcore | slowly
end mapped $?
dump --non-mmap -F -d 31 /proc/vmcore | slowly
end read $?
/x/fence_kdump_send --phase finished
sleep 1
say "all done"
wait
exit
"#;

/// The disk is full; then whoever the dump is sent to goes away, and the machine reboots at once.
const BADLY: &str = r#"
mkdir /small
mount -t tmpfs -o size=1m none /small
/x/ld.so --library-path /x /x/makedumpfile -d 31 /proc/vmcore /small/dump &
# It would be over before anybody looks.
until ls -l /proc/$!/fd | grep -q vmcore; do kill -0 $! || break; done
kill -STOP $!; sleep 4; kill -CONT $!
wait $!
say "full: $?"
sleep 13
dump -F -d 31 /proc/vmcore | sleep 4
say "gone: $?"
printf '#!/bin/busybox sh\nsleep 4\nreboot -f\n' >/systemd-shutdown
chmod 755 /systemd-shutdown
exit
"#;

/// The script with everything that it unpacks.
fn packed(folder: &Path, end: &str) -> std::path::PathBuf {
    let parts = folder.join("parts");
    fs::create_dir(&parts).expect("our own folder");
    let copy = |from: &Path, name: &str| {
        fs::copy(from, parts.join(name)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    copy(&programs::ours("fence_kdump_send"), "fence_kdump_send");
    let makedumpfile = programs::system("makedumpfile").expect("asked for");
    copy(&makedumpfile, "makedumpfile");
    let listing = Command::new("ldd").arg(&makedumpfile).output().expect("ldd").stdout;
    for word in String::from_utf8_lossy(&listing).split_whitespace() {
        let path = Path::new(word);
        if path.is_absolute() {
            let name = path.file_name().expect("a file").to_string_lossy();
            copy(path, if name.starts_with("ld-") { "ld.so" } else { &name });
        }
    }
    fs::write(parts.join("key"), NodeKey::of(7).line("n1")).expect("our own file");
    fs::set_permissions(parts.join("key"), fs::Permissions::from_mode(0o600))
        .expect("our own file");
    let mut archive = Command::new("tar");
    archive.args(["cz", "--owner=0", "--group=0", "-C"]).arg(&parts).arg(".");
    let archive = archive.output().expect("tar").stdout;
    // A number of as many digits as the word that it stands for.
    let script = [BEGIN, end].concat();
    let script = script.replace("OFFSET", &format!("{:06}", script.len() + 1));
    let program = folder.join("packed");
    fs::write(&program, [script.as_bytes(), &archive].concat()).expect("our own file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own file");
    program
}

fn progress(message: &Signed) -> Option<[u64; 2]> {
    let bytes = message.fields.get(&field::PROGRESS)?;
    let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    Some([number(0), number(8)])
}

/// A machine that has crashed, and runs this.
struct Crashed {
    machine: Machine,
    _image: Image,
    _net: Netns,
    _folder: TempDir,
}

impl Crashed {
    fn with(name: &str, script: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let sender = Sender {
            program: packed(folder.path(), script),
            arguments: vec!["10.0.2.2".to_owned()],
            moment: Moment::AfterNetwork,
        };
        let assets = Assets::get();
        let image = Image::build(name, &assets, Some(&sender)).expect("an image");
        let net = Netns::new();
        let mut machine = Machine::boot(&net, name, &assets, &image).expect("qemu starts");
        machine.wait_until_up();
        machine.crash();
        Self { machine, _image: image, _net: net, _folder: folder }
    }
}

/// The signed ones that the machine has sent.
fn messages(machine: &Machine) -> Vec<Signed> {
    let seen = machine.datagrams().expect("qemu's capture");
    let seen = seen.iter().filter(|datagram| datagram.to.port() == datagram::PORT);
    let signed = seen.filter(|datagram| datagram.payload.len() > datagram::LITTLE.len());
    signed.map(|datagram| Signed::read(&datagram.payload)).collect()
}

/// What they say, one after another.
fn phases(messages: &[Signed]) -> Vec<u64> {
    let mut phases: Vec<_> = messages.iter().map(phase).collect();
    phases.dedup();
    phases
}

fn phase(message: &Signed) -> u64 {
    message.number(field::PHASE)
}

const NEEDS: [Need; 4] = [Need::Root, Need::Netns, Need::Qemu, Need::Makedumpfile];

#[test]
fn a_real_dump_is_seen() {
    if !requires(&NEEDS) {
        return;
    }
    let mut crashed = Crashed::with("phase", WELL);
    let machine = &mut crashed.machine;
    let (_, line) = machine.wait_for("vm: size of vmcore: ");
    let size = line.split("vmcore: ").nth(1).and_then(|text| text.split('.').next()?.parse().ok());
    let size: u64 = size.expect("a number");
    for step in ["cp", "pipe", "mapped", "read"] {
        let (_, line) = machine.wait_for(&format!("vm: {step}: "));
        assert!(line.ends_with(": 0"), "{line}");
    }
    machine.wait_for("vm: all done");
    let messages = messages(&crashed.machine);
    let told: Vec<_> = messages.iter().map(|message| (phase(message), progress(message))).collect();
    println!("vmcore of {size} bytes: {told:?}");
    let mut parts: Vec<_> = messages.chunk_by(|one, next| phase(one) == phase(next)).collect();
    let end = parts.pop().expect("messages");
    assert_eq!(phase(&end[0]), FINISHED, "{told:?}");
    let dumps: Vec<_> = parts.iter().filter(|part| phase(&part[0]) == DUMPING).collect();
    assert_eq!(dumps.len(), 4, "{told:?}");
    assert!(parts.iter().all(|part| [BOOTED, DUMPING].contains(&phase(&part[0]))), "{told:?}");
    for (number, dump) in dumps.iter().enumerate() {
        let done: Vec<_> = dump.iter().filter_map(progress).collect();
        let straight = number < 2;
        assert!(done.is_sorted_by_key(|[done, _]| *done) || straight, "{number}: {done:?}");
        let totals: Vec<_> = done.iter().filter(|[_, total]| *total > 0).collect();
        if straight {
            assert!(!totals.is_empty(), "{number}: {done:?}");
            assert!(totals.is_sorted_by_key(|[done, _]| *done), "{number}: {done:?}");
            let right = |[done, total]: &[u64; 2]| *total == size && done <= total;
            assert!(totals.into_iter().all(right), "{number}: {done:?}");
        } else {
            assert!(totals.is_empty(), "{number}: of how much is not known: {done:?}");
            assert!(done.iter().any(|[done, _]| *done > 0), "{number}: {done:?}");
        }
    }
}

#[test]
fn a_dump_that_fails_is_seen() {
    if !requires(&NEEDS) {
        return;
    }
    let mut crashed = Crashed::with("phase-failed", BADLY);
    let (_, line) = crashed.machine.wait_for("vm: full: ");
    assert!(line.ends_with(": 1"), "{line}");
    crashed.machine.wait_for("vm: gone: ");
    crashed.machine.wait_for_reset();
    let phases = phases(&messages(&crashed.machine));
    assert_eq!(phases, [BOOTED, DUMPING, FAILED, DUMPING, FAILED, LEAVING]);
}

/// What the early sender starts: the initrd goes on to another root and removes itself, and the dump is sent to who
/// goes away.
const BEYOND: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
until ip link set eth0 up; do sleep 0.2; done
ip addr add 10.0.2.15/24 dev eth0
echo 'KEY' >/key
chmod 600 /key
# It is looked for once a second.
sleep 3
mkdir /new
mount -t tmpfs none /new
mkdir /new/bin /new/proc /new/dev
cp /bin/busybox /new/bin
cat >/new/init <<'end'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
mount -t devtmpfs dev /dev
sleep 2
cat /proc/vmcore | { sleep 3; head -c 50000000 >/dev/null; sleep 4; }
printf '#!/bin/busybox sh\nsleep 4\nreboot -f\n' >/systemd-shutdown
chmod 755 /systemd-shutdown
exec /systemd-shutdown
end
chmod 755 /new/init
exec switch_root /new /init
"#;

#[test]
fn the_early_sender_sees_it_beyond_the_initrd() {
    if !requires(&NEEDS) {
        return;
    }
    let assets = Assets::get();
    let mut plan = "fence_kdump_plan 1\nsend -v -i1 -k /key 10.0.2.2\n".to_owned();
    for module in assets.modules() {
        let name = module.file_name().expect("a file").to_string_lossy().into_owned();
        plan.push_str(&format!("module /modules/{name}\n"));
    }
    let init = BEYOND.replace("KEY", NodeKey::of(7).line("n1").trim_end());
    let sender = programs::ours("fence_kdump_send");
    let crash = Image::early(&assets, &sender, &plan, Some(init.as_bytes())).expect("an image");
    let image = Image::around("phase-early", &assets, Some((&crash, "")), &[]).expect("an image");
    let net = Netns::new();
    let mut machine = Machine::boot(&net, "phase-early", &assets, &image).expect("qemu starts");
    machine.wait_until_up();
    machine.crash_any();
    machine.wait_for_reset();
    assert_eq!(phases(&messages(&machine)), [BOOTED, DUMPING, FAILED, LEAVING]);
}
