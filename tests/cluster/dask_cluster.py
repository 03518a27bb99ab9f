"""A Dask cluster of two worker processes, until it is killed; prints where it is."""

import json
import sys
import time

from distributed import LocalCluster

if __name__ == "__main__":  # its workers import this file
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        worker_dashboard_address=None,
    )
    pids = [worker.pid for worker in cluster.workers.values()]
    fields = {"address": cluster.scheduler_address, "pids": pids}
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
    while True:
        time.sleep(60)
