// Estimator
