# What demo.sh and record.sh ask of the small model, which must be the same. record.sh says how it is served.
small_model=(--only 25 --only 37 --only 49 --only 50 --only 56 --only 66
  --provider http://127.0.0.1:8095/v1 --model SmolLM2-135M-Instruct --max-tokens 600)
