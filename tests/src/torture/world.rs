//! What a run takes place in: nsqd on its volume behind the proxy, and all that can be done to it.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::accounts::{self, Count};
use super::checker::Invariant;
use super::event::{Stop, What};
use super::history::History;
use super::load::{Load, Shared};
use super::lookupds::Lookupds;
use super::namespace::Namespace;
use super::nemesis::Fault;
use super::plan::Plan;
use super::process::{Daemon, Launch, Start};
use super::proxy::Proxy;
use super::setting::{self, CLOCK_FILE};
use super::volume::Volume;
use crate::http::try_request;
use crate::wait;

/// How long the load may stand still while nothing is wrong.
const STALL_MAX: Duration = Duration::from_secs(30);
/// What a stop may take at the most, in a debug build on a busy machine.
const STOP_MAX: Duration = Duration::from_secs(10);

/// An end of a run that has no sense to go on: what is wrong is written down.
#[derive(Debug)]
pub struct GivenUp;

/// The daemons of a run and what they stand on.
#[derive(Debug)]
pub struct World {
    /// Of the run.
    pub directory: PathBuf,
    /// What the clients share.
    pub shared: Arc<Shared>,
    /// The clients, once they run.
    pub load: Option<Load>,
    /// The way to nsqd.
    pub proxy: Proxy,
    /// How nsqd is started.
    pub launch: Launch,
    /// The longest start so far.
    pub longest_start: Duration,
    /// The longest clean stop so far.
    pub longest_stop: Duration,
    /// The most messages that were on disk only when somebody looked.
    pub most_spilled: u64,
    nsqd: Option<Daemon>,
    lookupds: Option<Lookupds>,
    namespace: Option<Namespace>,
    volume: Volume,
}

impl World {
    /// Makes the volume and starts nsqd with its topics and channels.
    pub fn create(plan: Plan, directory: &Path) -> Result<Self, String> {
        let in_directory = |error: io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(directory).map_err(in_directory)?;
        let volume = Volume::create(plan.ground, directory)?;
        let proxy = Proxy::start().map_err(in_directory)?;
        let history = History::create(directory, &plan).map_err(in_directory)?;
        let mut launch = setting::launch(&plan, volume.path(), directory.join("nsqd.log"));
        let (namespace, lookupds) = setting::surround(&plan, directory, &mut launch)?;
        fs::create_dir_all(data_path(volume.path())).map_err(in_directory)?;
        let shared = Shared::new(plan, history, proxy.address());
        let mut world = Self {
            directory: directory.to_owned(),
            shared,
            load: None,
            proxy,
            launch,
            longest_start: Duration::ZERO,
            longest_stop: Duration::ZERO,
            most_spilled: 0,
            nsqd: None,
            lookupds,
            namespace,
            volume,
        };
        world
            .start()
            .map_err(|GivenUp| "nsqd does not start".to_owned())?;
        world.create_channels()?;
        Ok(world)
    }

    fn create_channels(&mut self) -> Result<(), String> {
        let plan = self.shared.plan.clone();
        for topic in 0..plan.topics {
            self.act(&format!("/topic/create?topic=t{topic}"))?;
            for channel in 0..plan.channels {
                self.act(&format!(
                    "/channel/create?topic=t{topic}&channel=c{channel}"
                ))?;
            }
        }
        Ok(())
    }

    /// Starts nsqd and leads clients to it.
    pub fn start(&mut self) -> Result<(), GivenUp> {
        self.start_alone()?;
        self.admit();
        Ok(())
    }

    /// Leads clients to nsqd.
    pub fn admit(&self) {
        self.proxy
            .set_target(self.nsqd.as_ref().map(|nsqd| nsqd.tcp));
    }

    /// Starts nsqd, to which no client comes before [`World::admit`].
    pub fn start_alone(&mut self) -> Result<(), GivenUp> {
        match self.launch.start() {
            Ok(nsqd) => {
                self.adopt(nsqd);
                Ok(())
            }
            Err(reason) => Err(self.give_up(Invariant::Liveness, format!("nsqd: {reason}"))),
        }
    }

    fn adopt(&mut self, nsqd: Daemon) {
        self.longest_start = self.longest_start.max(nsqd.started_in);
        self.nsqd = Some(nsqd);
        self.record(What::Up);
    }

    /// Starts a nsqd that does this wrong on purpose, and leads clients to it; tells how it ended if it did so at its
    /// start.
    pub fn start_ordered(&mut self, sabotage: &str) -> Result<Option<ExitStatus>, GivenUp> {
        let mut launch = self.launch.clone();
        launch.order(sabotage);
        match launch.try_start() {
            Ok(Start::Listening(nsqd)) => {
                self.adopt(nsqd);
                self.admit();
                Ok(None)
            }
            Ok(Start::Ended(status)) => {
                self.record(What::Down { stop: Stop::Killed });
                Ok(Some(status))
            }
            Err(reason) => Err(self.give_up(Invariant::Liveness, format!("nsqd: {reason}"))),
        }
    }

    /// Notes how nsqd has ended by itself, if it has; it is to be started again.
    pub fn bury(&mut self) -> Option<ExitStatus> {
        let status = self.nsqd.as_mut()?.ended()?;
        self.kill();
        Some(status)
    }

    /// The running nsqd; starts one if it has died by itself, which is a violation.
    pub fn nsqd(&mut self) -> Result<&mut Daemon, GivenUp> {
        if !self.nsqd.as_mut().is_some_and(Daemon::is_running) {
            self.complain(Invariant::Conduct, "nsqd ended by itself");
            self.record(What::Down { stop: Stop::Killed });
            self.start()?;
        }
        self.nsqd.as_mut().ok_or(GivenUp)
    }

    /// Ends nsqd with SIGKILL.
    pub fn kill(&mut self) {
        self.proxy.set_target(None);
        if let Some(nsqd) = self.nsqd.take() {
            nsqd.kill();
            self.record(What::Down { stop: Stop::Killed });
        }
    }

    /// Ends nsqd with SIGTERM, which must succeed in time.
    pub fn terminate(&mut self) {
        self.proxy.set_target(None);
        let Some(nsqd) = self.nsqd.take() else {
            return;
        };
        match nsqd.terminate() {
            Ok(took) => {
                self.longest_stop = self.longest_stop.max(took);
                if took > STOP_MAX {
                    self.complain(Invariant::Liveness, format!("a clean stop took {took:?}"));
                }
            }
            Err(reason) => self.complain(Invariant::Conduct, reason),
        }
        self.record(What::Down { stop: Stop::Clean });
    }

    /// Cuts the power under nsqd, kills it, and has the power come back.
    pub fn cut_power(&mut self) -> Result<(), GivenUp> {
        self.record(What::Cutting);
        let cut = self.volume.cut_power();
        self.proxy.set_target(None);
        if let Some(nsqd) = self.nsqd.take() {
            nsqd.kill();
        }
        self.record(What::Down {
            stop: Stop::PowerCut,
        });
        let back = cut.and_then(|()| self.volume.power_up());
        back.map_err(|reason| self.fail(reason))
    }

    /// Has the file system make itself read-only; what is answered from now on may be a lie, as when the power is cut.
    pub fn make_read_only(&self) -> Result<(), String> {
        self.record(What::Cutting);
        self.volume.make_read_only()
    }

    /// The nsqlookupds, of a run that has faults of these.
    pub fn lookupds_mut(&mut self) -> Result<&mut Lookupds, GivenUp> {
        self.lookupds.as_mut().ok_or(GivenUp)
    }

    /// The network namespace of nsqd, of a run that has faults of this.
    pub fn namespace(&self) -> Result<&Namespace, GivenUp> {
        self.namespace.as_ref().ok_or(GivenUp)
    }

    /// Whether every nsqlookupd knows everything, this topic without channels too.
    pub fn is_registered(&self, topic: &str) -> bool {
        let plan = &self.shared.plan;
        let mut lookupds = self.lookupds.iter();
        lookupds.all(|lookupds| lookupds.know_all(plan) && lookupds.know(topic, 0))
    }

    /// What tells nsqd how wrong its wall clock is, of a run that has faults of this.
    pub fn clock_file(&self) -> PathBuf {
        self.directory.join(CLOCK_FILE)
    }

    /// What nsqd's data path lies on.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Waits until so many more messages are acknowledged, or the load stands still, which is a violation.
    pub fn progress(&mut self, acknowledgements: u64) -> Result<(), GivenUp> {
        let aim = self.shared.acknowledged() + acknowledgements;
        let mut last = (self.shared.acknowledged(), Instant::now());
        while self.shared.acknowledged() < aim {
            self.nsqd()?;
            std::thread::sleep(Duration::from_millis(2));
            let now = self.shared.acknowledged();
            if now > last.0 {
                last = (now, Instant::now());
            }
            if last.1.elapsed() > STALL_MAX {
                let text = format!("no publish was acknowledged in {} s", STALL_MAX.as_secs());
                return Err(self.give_up(Invariant::Liveness, text));
            }
        }
        Ok(())
    }

    /// Waits until all channels are empty; what remains when nothing moves any more is written down.
    pub fn await_empty(&mut self) -> Result<(), GivenUp> {
        let stall_max = STALL_MAX + Duration::from_millis(self.shared.plan.msg_timeout_ms);
        let mut last = (Vec::new(), self.shared.finished());
        let mut moved_at = Instant::now();
        loop {
            self.nsqd()?;
            let stats = self.get("/stats?format=json");
            let counts = stats.and_then(|stats| Count::all(&stats, &self.shared.plan));
            // What can't be told now is told next time.
            let counts = counts.unwrap_or_default();
            let is_empty = !counts.is_empty() && counts.iter().all(Count::is_empty);
            if is_empty || moved_at.elapsed() > stall_max {
                for count in counts {
                    self.record(count.event());
                }
                return Ok(());
            }
            let now = (counts, self.shared.finished());
            if now != last {
                (last, moved_at) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// HTTP GET of nsqd, which must answer with JSON.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        serde_json::from_str(&self.request("GET", path, b"")?).map_err(|error| error.to_string())
    }

    /// Whether nsqd says that all is well.
    pub fn is_healthy(&self) -> bool {
        self.request("GET", "/ping", b"").is_ok()
    }

    /// Notes how many messages are on disk only.
    pub fn look(&mut self) {
        // What can't be told now is told next time.
        let stats = self.get("/stats?format=json").unwrap_or_default();
        self.most_spilled = self.most_spilled.max(accounts::on_disk(&stats));
    }

    /// HTTP POST to nsqd without a body, which must succeed.
    pub fn act(&self, path: &str) -> Result<(), String> {
        self.post(path, b"")
    }

    /// HTTP POST to nsqd, which must succeed.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<(), String> {
        self.request("POST", path, body).map(|_| ())
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<String, String> {
        let nsqd = self.nsqd.as_ref().ok_or("nsqd is down")?;
        let answer =
            try_request(nsqd.http, method, path, body).map_err(|error| error.to_string())?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(format!(
                "{method} {path} was answered {status} {}",
                answer.body
            )),
        }
    }

    /// A fault begins; until [`World::heal`] the checker is lenient where it must be.
    pub fn begin(&self, fault: Fault) {
        self.record(What::Fault {
            fault,
            active: true,
        });
    }

    /// A fault ends.
    pub fn heal(&self, fault: Fault) {
        self.record(What::Fault {
            fault,
            active: false,
        });
    }

    /// Writes down what happens.
    pub fn record(&self, what: What) {
        self.shared.history.record(what);
    }

    /// Writes down what is wrong.
    pub fn complain(&self, invariant: Invariant, text: impl Into<String>) {
        self.shared.complain(invariant, text);
    }

    /// Writes down what makes it senseless to go on.
    pub fn give_up(&self, invariant: Invariant, text: impl Into<String>) -> GivenUp {
        self.complain(invariant, text);
        GivenUp
    }

    /// Writes down why the harness can't go on.
    pub fn fail(&self, reason: impl Display) -> GivenUp {
        self.give_up(Invariant::Conduct, format!("the harness: {reason}"))
    }

    /// After a clean stop: complains of what was left behind, and of panics in the log.
    pub fn inspect(&self) {
        for file in files(&data_path(self.volume.path())) {
            let name = file.to_string_lossy();
            let is_stray = [".tmp", ".damaged"]
                .iter()
                .any(|ending| name.ends_with(ending));
            if is_stray || name.contains("/deleted-") {
                self.complain(Invariant::Litter, format!("{name} was left behind"));
            }
        }
        let log = fs::read_to_string(&self.launch.log).unwrap_or_default();
        if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
            self.complain(Invariant::Conduct, format!("nsqd's log: {line}"));
        }
    }

    /// Waits until a condition holds; tells whether it did in time.
    pub fn within(&self, bound: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        wait::within(bound, || holds(self).then_some(())).is_some()
    }
}

/// The data path on a volume.
pub fn data_path(volume: &Path) -> PathBuf {
    volume.join("nsqd")
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        _ => vec![entry.path()],
    });
    below.collect()
}
