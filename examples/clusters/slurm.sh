#!/bin/bash
# RouterEval on Slurm: one job that holds the scheduler, the driver and the workers.
#   sbatch examples/clusters/slurm.sh
# The checkout's .venv and ROUTEREVAL_HOME have to lie in a folder that every node sees.
#SBATCH --job-name=routereval
#SBATCH --ntasks=64
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=12:00:00
#SBATCH --output=routereval-%j.log
set -euo pipefail

export OMP_NUM_THREADS=1
# RouterEval itself does a run again whose worker died, three times at most.
export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0
export ROUTEREVAL_HOME="${ROUTEREVAL_HOME:-$PWD/routereval_home}"
source .venv/bin/activate

PORT="${PORT:-8786}"
SCHEDULER="tcp://$(hostname):$PORT"
dask scheduler --port "$PORT" --no-dashboard &
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# One process with one thread per task; for nodes with a GPU add: --resources GPU=1
srun --ntasks="$SLURM_NTASKS" dask worker "$SCHEDULER" --nthreads 1 --no-dashboard --death-timeout 60 &

# Cut off by the time limit, the same job carries on: what had ended is stored.
routereval run paper --data official --skip-missing --router core --seed 0 --seed 1 --seed 2 \
    --results routereval.sqlite --dask "$SCHEDULER" --jobs "$SLURM_NTASKS" --events routereval-events.jsonl
