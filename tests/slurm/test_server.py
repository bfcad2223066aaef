"""slurm/serve-and-train.sbatch on a real cluster: the job's own model server lives as long as its training."""

import socket

import cluster
from slurm_job import FAKE_SERVER, SlurmTest, job


class Server(SlurmTest):
    def setUp(self):
        super().setUp()
        self.port = cluster.free_ports(1)[0]
        endpoint = {"address": f"http://127.0.0.1:{self.port}"}
        self.write_data()
        self.write("job.json", job(backend={"kind": "http", "endpoints": [endpoint]}))

    def write_server(self, *words, seconds=60):
        """server.bash, as a user writes it."""
        command = " ".join(f"'{word}'" for word in words)
        self.write("server.bash", f"server_command=({command})\nserver_wait_seconds={seconds}\n")

    def write_fake_server(self, *options):
        self.write_server(FAKE_SERVER, "--port", str(self.port), *options)

    def serve_and_train(self, *arguments, options=()):
        number = self.submit("serve-and-train.sbatch", "server.bash", "job.json", *arguments, options=options)
        self.wait_for_end(number)
        return number

    def expect_no_server(self):
        with socket.socket() as probe:
            probe.settimeout(5)
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", self.port)), 0, "the server is still there")

    def expect_failure(self, number, code, *fragments):
        said = self.log(number)
        self.assertEqual(self.field(number, "ExitCode"), f"{code}:0", said)
        for fragment in fragments:
            self.assertIn(fragment, said)
        self.assertFalse((self.dir / "run").exists(), "nothing was trained")
        self.expect_no_server()

    def test_job_starts_its_server_trains_through_it_and_ends_it(self):
        self.write_fake_server()
        number = self.serve_and_train("--set", "/train/steps=2")
        self.expect_completed(number)
        self.assertEqual(self.result_json()["steps_done"], 2)
        self.assertIn("listening", (self.dir / f"dln-serve-{number}.server.log").read_text())
        self.expect_no_server()

    def test_two_nodes_have_a_server_each(self):
        """The nodes of a test are one machine: here they need ports of their own, on a real cluster not."""
        ports = [self.port, cluster.free_ports(1)[0]]
        endpoints = [{"address": f"http://127.0.0.1:{port}"} for port in ports]
        self.write("job.json", job(backend={"kind": "http", "endpoints": endpoints}))
        ports = f"set -- {ports[0]} {ports[1]}; shift $SLURM_NODEID"
        self.write_server("sh", "-c", f"{ports}; exec {FAKE_SERVER} --port $1")
        number = self.serve_and_train(options=("--nodes=2", "--ntasks=2", "--ntasks-per-node=1"))
        self.expect_completed(number)
        said = (self.dir / f"dln-serve-{number}.server.log").read_text()
        self.assertEqual(said.count("listening"), 2, said)

    def test_server_of_no_use_is_refused_by_the_probe_and_ended(self):
        self.write_fake_server("--flavour", "shifted")
        number = self.serve_and_train()
        self.expect_failure(number, 3, "dln probe ended with exit code 3: nothing was trained")

    def test_server_that_ends_at_once_ends_the_job_with_its_last_words(self):
        self.write_server("sh", "-c", "echo no weights; exit 1")
        number = self.serve_and_train()
        self.expect_failure(number, 3, "ended before it was ready", "| no weights")

    def test_server_that_is_never_ready_is_waited_for_no_longer_than_said(self):
        self.write_server("sleep", "1000", seconds=1)
        number = self.serve_and_train()
        self.expect_failure(number, 3, "not ready within server_wait_seconds, 1")

    def test_wrong_job_ends_the_server_too(self):
        self.write_fake_server()
        number = self.serve_and_train("--set", "/train/steps=none")
        self.expect_failure(number, 2, "/train/steps")
