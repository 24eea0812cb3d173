"""Words that stand in nearly every failed start and are never the cause.

Rule: they are told after what explains them; alone they say only that the cause is not in the log.
"""

from __future__ import annotations

from mirror.core.logs.symptom import consequence

SYMPTOMS = (
    consequence(
        "vLLM", "the engine did not start", "Engine core initialization failed", "EngineCore failed to start",
        "EngineCore encountered a fatal error", "EngineDeadError", "EngineCore encountered an issue",
        "Engine process failed to start", "AsyncLLMEngine has failed", "Background loop has errored",
    ),
    consequence(
        "vLLM", "a worker process did not start", "WorkerProc initialization failed", "WorkerProc failed to start",
        "WorkerProc hit an exception", "Worker proc VllmWorker", "Error raised in subprocess", "Error executing method",
        "Failed core proc(s)",
    ),
    consequence(
        "SGLang", "the scheduler ended", "Received sigquit from a child process", "Scheduler hit an exception",
        "Rank 0 scheduler is dead", "Initialization failed. Please see the error messages above",
        "TokenizerManager hit an exception",
    ),
    consequence("ninja", "a build stopped", "ninja: build stopped", "Ninja build failed", "Error building extension '"),
    consequence("linker", "the linker stopped", "collect2: error: ld returned"),
    consequence(
        "compiler", "the compiler stopped", "compilation terminated.", "compiler error: failed at",
        "errors detected in the compilation",
    ),
    consequence(
        "pip", "a wheel could not be built", "Failed building wheel for", "Failed to build installable wheels",
        "subprocess-exited-with-error", "metadata-generation-failed",
    ),
    consequence(
        "launcher", "a process of several ended, and the others with it", "ChildFailedError", "ProcessRaisedException",
        "ProcessExitedException", "exitcode: 1 ", "Sending process ", "BrokenPipeError", "Connection reset by peer",
        "ActorDiedError", "The actor died unexpectedly", "RayTaskError", "ConnectionResetError",
        "cannot schedule new futures after shutdown", "Process group watchdog thread terminated",
        "terminate called after throwing an instance of 'c10::DistBackendError'", "TCPStore.cpp",
        "Application startup failed", "leaked shared_memory objects", "leaked semaphore objects", "CalledProcessError",
        "mpirun detected that", "did not complete successfully: exit code", "raise SystemExit", "SystemExit: ",
        "KeyboardInterrupt", "asyncio.exceptions.CancelledError",
    ),
)  # fmt: skip

FRAGMENTS = tuple(fragment for symptom in SYMPTOMS for fragment in symptom.fragments)
"""The words of all of them."""
