"""llama.cpp's server in a process of its own: MODEL.gguf PORT ADAPTER.gguf..."""

import sys
import time

import xllamacpp

file, port, *adapters = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.n_ctx, parameters.n_parallel, parameters.warmup = file, 512, 1, False
parameters.hostnames, parameters.port, parameters.verbosity = ["127.0.0.1"], int(port), -1
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 2
loras = []
for path in adapters:
    lora = xllamacpp.CommonAdapterLoraInfo()
    lora.path, lora.scale = path, 0.0
    loras.append(lora)
parameters.lora_adapters = loras
server = xllamacpp.Server(parameters)
while True:
    time.sleep(1)
