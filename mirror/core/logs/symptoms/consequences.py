"""Words that stand in nearly every failed start and are never the cause.

Rule: they are told after what explains them; alone they say only that the cause is not in the log.
"""

from __future__ import annotations

from mirror.core.logs.symptom import consequence

SYMPTOMS = (
    consequence("vLLM", "the engine did not start", "Engine core initialization failed", "EngineCore failed to start"),
    consequence("vLLM", "a worker process did not start", "WorkerProc initialization failed"),
    consequence("SGLang", "the scheduler ended", "Received sigquit from a child process", "Scheduler hit an exception"),
    consequence("ninja", "a build stopped", "ninja: build stopped", "Ninja build failed", "Error building extension '"),
    consequence("linker", "the linker stopped", "collect2: error: ld returned"),
    consequence("compiler", "the compiler stopped", "compilation terminated."),
    consequence("pip", "a wheel could not be built", "Failed building wheel for", "Failed to build installable wheels"),
)
