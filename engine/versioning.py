"""Worker Versioning: events stay on the build that they began with.

A build gets no work before it is made its deployment's current version (`temporal worker
deployment set-current-version`), so this is off unless a deployment is named.
"""

from __future__ import annotations

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig


def deployment_config(deployment: str, build_id: str) -> WorkerDeploymentConfig:
    """For workflows that name no behaviour of their own: pinned, so they need no patches.

    `WatchDeliveriesOnAnyBuild` names the other one: it never ends, or its first build could never
    go.
    """
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=deployment, build_id=build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )
