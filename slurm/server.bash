# shellcheck shell=bash
# shellcheck disable=SC2034  # dln-batch reads them
# How slurm/serve-and-train.sbatch starts a model server on each node of its job. Copy this file and change
# it: it is run as bash, on the job's first node. The server must stay in the foreground, and should listen on
# loopback only: other users' jobs may share the node.

# llama.cpp through llama-cpp-python (pip install 'llama-cpp-python[server]'). --logits_all: scores of prompts.
server_command=(python3 -m llama_cpp.server --host 127.0.0.1 --port 8000
    --model "$HOME/models/my-model.gguf" --logits_all true --n_ctx 4096
    --n_threads "${SLURM_CPUS_ON_NODE:-1}")

# vLLM:
# server_command=(vllm serve Qwen/Qwen2.5-7B-Instruct --host 127.0.0.1 --port 8000)

# Loading takes its time: so long may it take until dln probe has its answers.
server_wait_seconds=900
